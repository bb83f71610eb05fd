/** The thread of {@link startLeaseKeeper}. */

import { setTimeout as sleep } from "node:timers/promises";
import { workerData } from "node:worker_threads";
import { Client } from "pg";
import { clientConfig } from "./connection.ts";
import { heldLoopMaxMs, keeperCells, type LeaseKeeperData } from "./lease-keeper.ts";

const nanosPerMs = 1_000_000n;

const { url, hostId, overdueMs, cells } = workerData as LeaseKeeperData;
const { view, renewedAt, count } = keeperCells(cells);

/** A host that was declared lost stays so: only its loop, which removes the guests then, ends that. */
const renew = `update hosts set renewals = renewals + 1, renewed_at = $2 where id = $1 and lost_at is null`;

let client: Client | null = null;
for (;;) {
  await sleep(overdueMs / 4);
  const isNeeded = isOverdue();
  if (isNeeded) await renewNow();
  else await close();
}

/** Whether the loop renewed the lease, then did not in time, and may still come back. */
function isOverdue(): boolean {
  const last = Atomics.load(view, renewedAt);
  if (last === 0n) return false;
  const age = Number((process.hrtime.bigint() - last) / nanosPerMs);
  return age > overdueMs && age < heldLoopMaxMs;
}

async function renewNow(): Promise<void> {
  try {
    client ??= await connect();
    // Connecting took its time: the loop may run again, and have failed.
    if (!isOverdue()) return;
    await client.query(renew, [hostId, Date.now()]);
    Atomics.add(view, count, 1n);
  } catch {
    // The next round tries again; whether the lease lasts is for the others to see.
    await close();
  }
}

async function connect(): Promise<Client> {
  const opened = new Client(clientConfig(url, { bounded: true }));
  opened.on("error", () => {});
  try {
    await opened.connect();
    return opened;
  } catch (error) {
    await opened.end().catch(() => {});
    throw error;
  }
}

async function close(): Promise<void> {
  const closing = client;
  client = null;
  await closing?.end().catch(() => {});
}
