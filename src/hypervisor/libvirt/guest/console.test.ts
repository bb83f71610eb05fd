import assert from "node:assert/strict";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { readConsole } from "./console.ts";

describe("reading a console that virtlogd rotates", () => {
  let directory: string;
  let path: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "solstice-console-"));
    path = join(directory, "console.log");
  });
  beforeEach(async () => {
    for (const suffix of ["", ".0", ".1", ".2"]) await rm(path + suffix, { force: true });
  });
  after(() => rm(directory, { recursive: true }));

  const read = async (offset: number, maxBytes = 100) =>
    (await readConsole(path, offset, maxBytes)).toString();

  test("a missing console reads as empty", async () => {
    assert.equal(await read(0), "");
  });

  test("offsets stay valid when a part is renamed", async () => {
    await writeFile(path, "01234");
    assert.equal(await read(3), "34");
    await rename(path, `${path}.0`);
    await writeFile(path, "56");
    assert.equal(await read(3), "3456");
    await rename(`${path}.0`, `${path}.1`);
    await rename(path, `${path}.0`);
    assert.equal(await read(3), "3456");
    await writeFile(path, "789");
    assert.equal(await read(3), "3456789");
  });

  test("reading any range over all parts equals the range of the whole", async () => {
    await writeFile(`${path}.2`, "0");
    await writeFile(`${path}.1`, "1234");
    await writeFile(`${path}.0`, "");
    await writeFile(path, "567");
    for (let offset = 0; offset <= 10; offset += 1) {
      for (let length = 0; length <= 10; length += 1) {
        assert.equal(await read(offset, length), "01234567".slice(offset, offset + length));
      }
    }
  });
});
