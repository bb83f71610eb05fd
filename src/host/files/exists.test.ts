import assert from "node:assert/strict";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { exists } from "./exists.ts";

test("a file and a directory exist; a missing one and a link that leads nowhere do not", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "solstice-exists-"));
  context.after(() => rm(directory, { recursive: true }));
  await writeFile(join(directory, "file"), "");
  await symlink("nowhere", join(directory, "link"));
  const paths = [directory, join(directory, "file"), join(directory, "missing"), join(directory, "link")];
  assert.deepEqual(await Promise.all(paths.map(exists)), [true, true, false, false]);
});
