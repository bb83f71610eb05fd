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

test("dd's data are on the volume, and the volume's clones keep their original data", async () => {
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

/** Asserts that dd fails with this first line and these counts; the last line contains times. */
async function fails(args: string[], expected: string, ...counts: string[]): Promise<void> {
  const { exitCode, stderr } = await runIn(standIn, "dd", ...args);
  const lines = stderr.trimEnd().split("\n");
  assert.match(lines.pop() ?? "", /^\d+ bytes transferred in \d+\.\d{6} secs \(\d+ bytes\/sec\)$/);
  assert.deepEqual([exitCode, ...lines], [2, expected, ...counts]);
}

test("a raw device takes whole sectors only", async () => {
  await writeFile(file, Buffer.alloc(700));
  await fails(
    [`if=${file}`, "of=/dev/zvol/rdsk/rpool/v", "bs=1M"],
    "write: Invalid argument",
    "0+1 records in",
    "0+1 records out",
  );
  await must(standIn, "dd", `if=${file}`, "of=/dev/zvol/rdsk/rpool/v", "bs=1M", "conv=sync");
  await must(standIn, "dd", `if=${file}`, "of=/dev/zvol/dsk/rpool/v", "bs=1M");
});

test("a missing volume or file, and sizes that illumos' dd does not read", async () => {
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
  await refuses(standIn, ["dd", `if=${file}`, "bs=1m"], 2, 'dd: bad numeric argument: "1m"');
  await refuses(standIn, ["dd", `if=${file}`, "status=none"], 2, 'dd: bad argument: "status=none"');
});

test("more than the volume or the pool holds", async () => {
  await writeFile(file, Buffer.alloc(2 * 1024 ** 2, "x"));
  const args = [`if=${file}`, "of=/dev/zvol/rdsk/rpool/v"];
  await fails([...args, "bs=512k"], "write: I/O error", "3+0 records in", "3+0 records out");
  await fails(
    [...args, "bs=768k"],
    "dd: unexpected short write, wrote 262144 bytes, expected 786432",
    "2+0 records in",
    "2+0 records out",
  );
  await must(standIn, "zfs", "create", "-s", "-V", "1G", "rpool/thin");
  standIn.setPoolBytes(10 * 1024 ** 2);
  await writeFile(file, Buffer.alloc(64 * 1024 ** 2, "x"));
  const { exitCode, stderr } = await runIn(
    standIn,
    "dd",
    `if=${file}`,
    "of=/dev/zvol/rdsk/rpool/thin",
    "bs=1M",
  );
  assert.equal(exitCode, 2);
  assert.match(stderr, /^write: No space left on device\n/);
});
