import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runCommand } from "../command.ts";
import { availableBytes, formatBytes, freeBytes } from "./disk-space.ts";

test("free bytes equal the figure of df, also for a path that does not exist yet", async () => {
  const df = execFileSync("df", ["--output=avail", "-B1", tmpdir()], { encoding: "utf8" });
  const expected = Number(df.split("\n")[1]);
  const measured = await freeBytes(join(tmpdir(), "not", "there", "yet"));
  // Other processes write to the same disk during the test.
  assert.ok(Math.abs(measured - expected) < 2 * 1024 ** 3, `${measured} is far from ${expected}`);
});

test("on illumos the free bytes come from df, because Node does not report the unit of the block count", async () => {
  const run = (async (program, args) => {
    assert.deepEqual([program, args], ["df", ["-k", tmpdir()]]);
    return {
      exitCode: 0,
      stderr: "",
      stdout: "Filesystem 1024-blocks Used Available Capacity Mounted on\nrpool/x 10 4 6 40% /x\n",
    };
  }) as typeof runCommand;
  assert.equal(await freeBytes(join(tmpdir(), "not", "yet"), { platform: "sunos", run }), 6 * 1024);
  const [byDf, byStatfs] = await Promise.all([
    freeBytes(tmpdir(), { platform: "sunos", run: runCommand }),
    freeBytes(tmpdir()),
  ]);
  assert.ok(Math.abs(byDf - byStatfs) < 2 * 1024 ** 3, `${byDf} is far from ${byStatfs}`);
});

test("df of illumos: a long file system name is on its own line", () => {
  const head = "Filesystem           1024-blocks        Used   Available Capacity  Mounted on\n";
  const short = `${head}rpool/solstice         239337472     2193000   100000000     3%    /rpool/solstice\n`;
  const long = `${head}rpool/solstice/with/a/long/name\n                       239337472          24   100000001     1%    /x\n`;
  assert.deepEqual([availableBytes(short), availableBytes(long)], [100_000_000 * 1024, 100_000_001 * 1024]);
  for (const text of ["", head, `${head}x y z - 1% /\n`]) assert.equal(availableBytes(text), null);
});

test("sizes are formatted with a suitable unit", () => {
  assert.deepEqual(
    [0, 1, 1023, 1024, 1536, 200 * 1024 ** 2, 1.5 * 1024 ** 3, 3000 * 1024 ** 4].map(formatBytes),
    ["0 B", "1 B", "1023 B", "1.0 KiB", "1.5 KiB", "200 MiB", "1.5 GiB", "3000 TiB"],
  );
});
