/** The thread of {@link startLeaseKeeper}. */

import { setTimeout as sleep } from "node:timers/promises";
import { workerData } from "node:worker_threads";
import { Client } from "pg";
import { clientConfig } from "./connection.ts";
import { heldLoopMaxMs, keeperCells, type LeaseKeeperData } from "./lease-keeper.ts";

const nanosPerMs = 1_000_000n;

const { url, hostId, overdueMs, cells } = workerData as LeaseKeeperData;
const { view, renewedAt, count } = keeperCells(cells);

/** Never revives a lost host: only its loop, which then removes the guests, does that. */
const renew = `update hosts set renewals = renewals + 1, renewed_at = $2 where id = $1 and lost_at is null`;

let client: Client | null = null;
for (;;) {
  await sleep(overdueMs / 4);
  const isNeeded = isOverdue();
  if (isNeeded) await renewNow();
  else await close();
}

/** True when the loop has renewed the lease, is overdue now, and may still recover. */
function isOverdue(): boolean {
  const last = Atomics.load(view, renewedAt);
  if (last === 0n) return false;
  const age = Number((process.hrtime.bigint() - last) / nanosPerMs);
  return age > overdueMs && age < heldLoopMaxMs;
}

async function renewNow(): Promise<void> {
  try {
    client ??= await connect();
    // Connecting took time: the loop may run again, and may have failed.
    if (!isOverdue()) return;
    await client.query(renew, [hostId, Date.now()]);
    Atomics.add(view, count, 1n);
  } catch {
    // The next round retries; whether the lease has expired is decided by the other hosts.
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
