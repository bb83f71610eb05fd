/** The FAT image, checked by independent tools for FAT. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isSolsticeError } from "../../core/errors.ts";
import { runCommand } from "../../host/command.ts";
import { buildFatImage } from "./fat-image.ts";

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "solstice-fat-"));
});
after(() => rm(directory, { recursive: true }));

async function written(label: string, files: Parameters<typeof buildFatImage>[1]): Promise<string> {
  const path = join(await mkdtemp(join(directory, "d-")), "seed.img");
  await writeFile(path, buildFatImage(label, files));
  return path;
}

const files = [
  { name: "meta-data", content: '{"instance-id":"x"}\n' },
  { name: "user-data", content: `#!/bin/sh\n${"echo h\u00e9llo\n".repeat(9000)}` },
  { name: "empty", content: "" },
  { name: "exactly-13-ch", content: "a".repeat(512) },
  { name: "network-config-of-a-long-name.yaml", content: "b".repeat(513) },
];

test("fsck finds no errors, and the label is as given", async () => {
  const path = await written("cidata", files);
  const { stdout } = await runCommand("/usr/sbin/fsck.vfat", ["-n", "-v", path]);
  assert.match(stdout, /12 bits? per|12 bit entries/);
  const blkid = await runCommand("/usr/sbin/blkid", ["-p", "-o", "export", path]);
  assert.match(blkid.stdout, /^LABEL=cidata$/m);
  assert.match(blkid.stdout, /^LABEL_FATBOOT=cidata$/m);
  assert.match(blkid.stdout, /^VERSION=FAT12$/m);
  assert.doesNotMatch(blkid.stdout, /^PTTYPE=/m, "no partition table");
});

test("mtools reads every file by its long name, byte for byte", async () => {
  const path = await written("cidata", files);
  const { stdout } = await runCommand("mdir", ["-b", "-i", path, "::"]);
  assert.deepEqual(
    stdout.trim().split("\n"),
    files.map(({ name }) => `::/${name}`),
  );
  for (const { name, content } of files) {
    const copy = join(directory, `copy-of-${name}`);
    await runCommand("mcopy", ["-n", "-i", path, `::${name}`, copy]);
    assert.equal(await readFile(copy, "utf8"), content);
  }
});

test("files that fill the image to its last sector are complete, and one more byte is rejected", async () => {
  const full = 2847 * 512;
  const path = await written("cidata", [{ name: "full", content: "f".repeat(full) }]);
  await runCommand("/usr/sbin/fsck.vfat", ["-n", path]);
  const copy = join(directory, "full");
  await runCommand("mcopy", ["-n", "-i", path, "::full", copy]);
  assert.equal((await readFile(copy)).length, full);
  for (const refused of [
    [{ name: "full", content: "f".repeat(full + 1) }],
    Array.from({ length: 112 }, (_, at) => ({ name: `f${at}`, content: "" })),
  ]) {
    assert.throws(
      () => buildFatImage("cidata", refused),
      (error) => isSolsticeError(error, "limit_exceeded"),
    );
  }
});
