import { setTimeout as delay } from "node:timers/promises";
import type { Kysely } from "kysely";
import type { Database } from "../schema/schema.ts";
import type { QueuedWork } from "../write-queue.ts";
import { isConnectionLost, isWorthRepeating } from "./errors.ts";

/** Number of tries of an operation that fails because of another transaction. */
const maxAttempts = 6;

/**
 * The pause before a retry is random, up to this for each attempt so far, in ms: two transactions that collided must
 * separate.
 */
const maxPauseMs = 20;

/**
 * Commits operations together without savepoints, which would be two of five statements: usually all succeed. When one
 * fails, or locks rows in another order than another transaction, all are rolled back and each is run again alone, so
 * that only operations with an error of their own fail.
 */
export async function commitBatch(db: Kysely<Database>, batch: readonly QueuedWork[]): Promise<void> {
  if (batch.length > 1) {
    const error = await tryTogether(db, batch);
    if (error === null) return;
    // The connection was lost before the answer to the commit, so its outcome is unknown: the callers read again.
    if (isConnectionLost(error)) return failAll(batch, error);
  }
  await Promise.all(batch.map((queued) => commitAlone(db, queued)));
}

async function tryTogether(db: Kysely<Database>, batch: readonly QueuedWork[]): Promise<unknown> {
  try {
    await db.transaction().execute(async (trx) => {
      for (const queued of batch) await queued.run(trx);
    });
  } catch (error) {
    return error;
  }
  for (const queued of batch) queued.committed();
  return null;
}

function failAll(batch: readonly QueuedWork[], error: unknown): void {
  for (const queued of batch) queued.failed(error);
}

async function commitAlone(db: Kysely<Database>, queued: QueuedWork): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await db.transaction().execute((trx) => queued.run(trx));
      return queued.committed();
    } catch (error) {
      if (attempt === maxAttempts || !isWorthRepeating(error)) return queued.failed(error);
      await delay(Math.random() * maxPauseMs * attempt);
    }
  }
}
