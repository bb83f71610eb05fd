/** The archive, checked by GNU cpio. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isSolsticeError } from "../../core/errors.ts";
import { runCommand } from "../../host/command.ts";
import { buildCpioArchive } from "./cpio-archive.ts";

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "solstice-cpio-"));
});
after(() => rm(directory, { recursive: true }));

const files = [
  { name: "nodename", content: "job-0abc\n" },
  { name: "firstboot.sh", content: `#!/bin/sh\n${"echo h\u00e9llo\n".repeat(9000)}` },
  { name: "config.toml", content: "" },
];

test("cpio detects the format and unpacks every file at the root, for its owner only", async () => {
  const path = join(directory, "seed.img");
  await writeFile(path, buildCpioArchive(files));
  // The call of metadata-agent, without options that only illumos has.
  const { stdout } = await runCommand("cpio", ["-i", "-v", "--quiet", "-I", path], { cwd: directory });
  assert.equal(stdout, "");
  for (const { name, content } of files) {
    assert.equal(await readFile(join(directory, name), "utf8"), content);
    assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600);
  }
});

test("the archive is a whole disk: the magic in its first bytes, and no incomplete block at its end", () => {
  for (const length of [0, 1, 511, 512, 513]) {
    const archive = buildCpioArchive([{ name: "x", content: "x".repeat(length) }]);
    assert.equal(archive.toString("latin1", 0, 6), "070707");
    assert.equal(archive.length % 512, 0);
  }
});

test("an archive above the limit is rejected", () => {
  assert.throws(
    () => buildCpioArchive([{ name: "x", content: "x".repeat(8 * 1024 * 1024) }]),
    (error) => isSolsticeError(error, "limit_exceeded"),
  );
});
