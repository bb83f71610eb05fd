import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Worker } from "node:worker_threads";
import { bytesIfPresent, filesBelow } from "./files-below.ts";

function makeDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "solstice-files-"));
  context.after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
  return directory;
}

/**
 * Makes and removes a directory with a file in it until the process is ended: as the product does, but without
 * pauses.
 */
const changer = `
const { mkdirSync, rmSync, writeFileSync } = require("node:fs");
const { workerData: directory, parentPort } = require("node:worker_threads");
parentPort.postMessage("begun");
for (;;) {
  mkdirSync(directory);
  writeFileSync(directory + "/file", "text");
  rmSync(directory, { recursive: true });
}`;

test("files below a directory have sizes; links and directories are left out", (context) => {
  const directory = makeDirectory(context);
  mkdirSync(join(directory, "one"));
  writeFileSync(join(directory, "one/file"), "12345");
  symlinkSync("one", join(directory, "link"));
  assert.deepEqual(filesBelow(directory), [{ path: join(directory, "one/file"), bytes: 5 }]);
  assert.deepEqual(filesBelow(join(directory, "missing")), []);
  assert.equal(bytesIfPresent(join(directory, "one/file")), "12345");
  assert.equal(bytesIfPresent(join(directory, "missing")), "");
  assert.throws(() => bytesIfPresent(directory), { code: "EISDIR" });
});

test("a file that is removed during the walk is left out", async (context) => {
  const directory = makeDirectory(context);
  writeFileSync(join(directory, "stays"), "");
  const worker = new Worker(changer, { eval: true, workerData: join(directory, "changes") });
  await new Promise((resolve) => worker.once("message", resolve));
  for (let walk = 1; walk <= 3000; walk += 1) {
    const paths = filesBelow(directory).map(({ path }) => path);
    for (const path of paths) bytesIfPresent(path);
    assert.ok(paths.includes(join(directory, "stays")));
  }
  await worker.terminate();
});
