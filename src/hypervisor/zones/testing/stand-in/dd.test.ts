import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openStandIn, type StandIn } from "./stand-in.ts";
import { must, refuses, runIn } from "./testing.ts";

let standIn: StandIn;
let file: string;
before(async () => {
  standIn = await openStandIn();
  file = join(standIn.directory, "image");
  await must(standIn, "zfs", "create", "-V", "1M", "rpool/v");
});
after(() => standIn.close());

test("what dd writes to a volume is there, and its clones keep what they were made of", async () => {
  await writeFile(file, Buffer.alloc(64 * 1024, "first"));
  await must(standIn, "dd", `if=${file}`, "of=/dev/zvol/rdsk/rpool/v", "bs=1M");
  await must(standIn, "zfs", "snapshot", "rpool/v@a");
  await must(standIn, "zfs", "clone", "rpool/v@a", "rpool/c");
  await writeFile(file, Buffer.alloc(1024, "other"));
  await must(standIn, "dd", `if=${file}`, "of=/dev/zvol/rdsk/rpool/v", "bs=1M");
  const start = async (volume: string) =>
    (await readFile(standIn.volumeFile(volume))).subarray(0, 5).toString();
  assert.deepEqual(
    [await start("rpool/v"), await start("rpool/v@a"), await start("rpool/c")],
    ["other", "first", "first"],
  );
  const out = join(standIn.directory, "out");
  await must(standIn, "dd", "if=/dev/zvol/rdsk/rpool/c", `of=${out}`, "bs=512", "count=1");
  assert.equal((await readFile(out)).length, 512);
});

test("a raw device takes whole sectors only", async () => {
  await writeFile(file, Buffer.alloc(700));
  await refuses(
    standIn,
    ["dd", `if=${file}`, "of=/dev/zvol/rdsk/rpool/v", "bs=1M"],
    2,
    "0+1 records in",
    "0+0 records out",
    "dd: write: Invalid argument",
  );
  await must(standIn, "dd", `if=${file}`, "of=/dev/zvol/rdsk/rpool/v", "bs=1M", "conv=sync");
  await must(standIn, "dd", `if=${file}`, "of=/dev/zvol/dsk/rpool/v", "bs=1M");
});

test("no volume, no file, no room", async () => {
  await writeFile(file, Buffer.alloc(2 * 1024 ** 2));
  await refuses(
    standIn,
    ["dd", `if=${file}`, "of=/dev/zvol/rdsk/rpool/none"],
    2,
    "dd: /dev/zvol/rdsk/rpool/none: open: No such file or directory",
  );
  await refuses(
    standIn,
    ["dd", "if=/none", "of=/dev/zvol/rdsk/rpool/v"],
    2,
    "dd: /none: open: No such file or directory",
  );
  const { exitCode, stderr } = await runIn(
    standIn,
    "dd",
    `if=${file}`,
    "of=/dev/zvol/rdsk/rpool/v",
    "bs=512K",
  );
  assert.deepEqual(
    [exitCode, stderr],
    [2, "3+0 records in\n2+0 records out\ndd: write: No space left on device\n"],
  );
});
