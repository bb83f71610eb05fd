import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { selectFiles, slowestFirst } from "./select-files.ts";

const root = join(import.meta.dirname, "../..");

test("each tier contains the smaller one: unit in default in all", () => {
  const [unit, normal, all] = (["unit", "default", "all"] as const).map(
    (tier) => new Set(selectFiles(tier, [], root).map(({ path }) => path)),
  );
  assert.ok(unit && normal && all);
  assert.ok(unit.size > 100 && unit.size < normal.size, `${unit.size} of ${normal.size}`);
  assert.ok(unit.isSubsetOf(normal) && normal.isSubsetOf(all));
  assert.ok(unit.has("src/core/job/lifecycle.test.ts"));
  assert.ok(!unit.has("test/guests/libvirt.test.ts") && normal.has("test/guests/libvirt.test.ts"));
});

test("unit tests begin first, then the slowest of the others", () => {
  const files = selectFiles("default", [], root);
  const firstSystem = files.findIndex(({ isSystem }) => isSystem);
  assert.ok(files.slice(firstSystem).every(({ isSystem }) => isSystem));
  const names = files.slice(firstSystem).map(({ path }) => path);
  assert.deepEqual(names.slice(0, slowestFirst.length), slowestFirst);
});

test("the files of the list of slow files exist", () => {
  for (const path of slowestFirst) assert.ok(existsSync(join(root, path)), path);
});

test("a folder, a glob, and a name without a file", () => {
  const found = selectFiles("unit", ["test/run/select-files.test.ts", "test/run/*.test.ts"], root);
  assert.ok(found.length > 1 && new Set(found).size === found.length);
  const folder = selectFiles("unit", ["test/run"], root);
  assert.deepEqual(folder, found);
  assert.throws(() => selectFiles("unit", ["src/nothing-*.test.ts"], root), /No test file matches/);
});
