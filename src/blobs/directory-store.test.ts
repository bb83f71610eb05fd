import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openDirectoryStore } from "./directory-store.ts";
import { blobStoreContract, inPieces } from "./testing/contract.ts";

async function openEmpty(context: TestContext) {
  const root = mkdtempSync(join(tmpdir(), "solstice-blobs-"));
  context.after(() => rmSync(root, { recursive: true, force: true }));
  return openDirectoryStore(root);
}

blobStoreContract("directory", openEmpty);

test("leftovers of a crashed write are found by their age, and every blob stays", async (context) => {
  const store = await openEmpty(context);
  await store.write("a/b", inPieces(Buffer.from("whole")), { limitBytes: 100 });
  const left = join(store.place, "unfinished", "8f0e");
  writeFileSync(left, "half");
  assert.equal(await store.removeLeftovers(Date.now() - 60_000), 0);
  assert.equal(await store.removeLeftovers(Date.now() + 60_000), 1);
  assert.deepEqual(readdirSync(join(store.place, "unfinished")), []);
  assert.notEqual(await store.stat("a/b"), null);
});
