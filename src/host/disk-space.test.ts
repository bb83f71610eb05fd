import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { formatBytes, freeBytes } from "./disk-space.ts";

test("free bytes are what df says, also for a path that is yet to be made", async () => {
  const df = execFileSync("df", ["--output=avail", "-B1", tmpdir()], { encoding: "utf8" });
  const expected = Number(df.split("\n")[1]);
  const measured = await freeBytes(join(tmpdir(), "not", "there", "yet"));
  // Others write to the same disk meanwhile.
  assert.ok(Math.abs(measured - expected) < 2 * 1024 ** 3, `${measured} is far from ${expected}`);
});

test("sizes read well at every magnitude", () => {
  assert.deepEqual(
    [0, 1, 1023, 1024, 1536, 200 * 1024 ** 2, 1.5 * 1024 ** 3, 3000 * 1024 ** 4].map(formatBytes),
    ["0 B", "1 B", "1023 B", "1.0 KiB", "1.5 KiB", "200 MiB", "1.5 GiB", "3000 TiB"],
  );
});
