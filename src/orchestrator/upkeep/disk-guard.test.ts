import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openStandIn } from "../../../test/illumos/stand-in.ts";
import { silentLog } from "../../core/log.ts";
import { freeBytesOfDataset } from "../../host/files/disk-space.ts";
import { createDiskGuard, isBelowReserve } from "./disk-guard.ts";

const log = silentLog;

test("jobs stop below the reserve, and start again only above it by a margin", () => {
  assert.equal(isBelowReserve(false, 1000, 1000), false);
  assert.equal(isBelowReserve(false, 999, 1000), true);
  assert.equal(isBelowReserve(true, 1000, 1000), true);
  assert.equal(isBelowReserve(true, 1100, 1000), false);
  assert.equal(isBelowReserve(false, 0, 0), false);
});

test("the reason has the numbers and the remedy; without a reserve there is no pause", async (context) => {
  const dataDir = mkdtempSync(join(tmpdir(), "solstice-guard-"));
  context.after(() => rmSync(dataDir, { recursive: true }));
  const guard = createDiskGuard({ config: { dataDir, diskReserveBytes: 2 ** 60 }, log });
  assert.equal(guard.pausedReason(), null);
  const changes: boolean[] = [];
  guard.onChange((isPaused) => changes.push(isPaused));
  await guard.measure();
  await guard.measure();
  assert.match(guard.pausedReason() ?? "", /^Only .*B are free in .*DISK_RESERVE_MB.*: free space there/);
  assert.deepEqual(changes, [true]);
  const unreserved = createDiskGuard({ config: { dataDir, diskReserveBytes: 0 }, log });
  await unreserved.measure();
  assert.equal(unreserved.pausedReason(), null);
  assert.ok((unreserved.freeBytes() ?? 0) > 0);
});

test("with guests' disks in a ZFS dataset, the fuller of dataset and data directory counts", async (context) => {
  const dataDir = mkdtempSync(join(tmpdir(), "solstice-guard-"));
  const standIn = await openStandIn();
  context.after(async () => {
    await standIn.close();
    rmSync(dataDir, { recursive: true });
  });
  const { run } = standIn;
  const config = { dataDir, diskReserveBytes: 2 ** 26 };
  const guard = createDiskGuard({ config, dataset: "rpool", log, run });
  await guard.measure();
  assert.equal(guard.pausedReason(), null);
  standIn.setPoolBytes(2 ** 25);
  await guard.measure();
  assert.match(guard.pausedReason() ?? "", /^Only .*B are free in rpool, less than the reserve/);
  await assert.rejects(freeBytesOfDataset("rpool/absent", run), /dataset does not exist/);
});

test("a job that fails on a full disk pauses the host for a minute, with any reserve", async () => {
  let now = 0;
  const guard = createDiskGuard({
    config: { dataDir: tmpdir(), diskReserveBytes: 0 },
    log,
    now: () => now,
  });
  const changes: boolean[] = [];
  guard.onChange((isPaused) => changes.push(isPaused));
  await guard.measure();
  guard.reportFull("no space left.");
  await guard.measure();
  assert.match(guard.pausedReason() ?? "", /no space left/);
  now = 60_000;
  await guard.measure();
  assert.equal(guard.pausedReason(), null);
  assert.deepEqual(changes, [true, false]);
});
