import { setImmediate as nextTurn } from "node:timers/promises";
import { type Kysely, sql, type Transaction } from "kysely";
import { SolsticeError } from "../core/errors.ts";
import type { Database } from "./schema/schema.ts";

/** Maximum number of operations that share one commit: limits the time for which a transaction holds the write lock. */
const maxBatch = 100;

/** One operation's writes; its value reaches the caller after the commit. It may be run again, from its start. */
export type Work<T> = (trx: Transaction<Database>) => Promise<T>;

/** Runs the writes of a store. */
export interface Writer {
  /** Runs `work` in a transaction; resolves with its value once that is on disk. */
  run<T>(work: Work<T>): Promise<T>;
  /** Refuses new work, and resolves when all accepted work has ended. */
  close(): Promise<void>;
}

/** An operation that waits for its commit. */
export interface QueuedWork {
  run(trx: Transaction<Database>): Promise<void>;
  /** Resolves the caller's promise with the value of the last `run`. */
  committed(): void;
  failed(error: unknown): void;
}

/** Commit strategy of a {@link WriteQueue}. */
export interface CommitOptions {
  /** Commits some operations and settles each; an operation that fails does not affect the others. Never rejects. */
  commit(db: Kysely<Database>, batch: readonly QueuedWork[]): Promise<void>;
  /** Maximum number of batches that are committed at the same time. */
  readonly atOnce: number;
}

/** SQLite has one writer at a time. */
const oneAfterTheOther: CommitOptions = { commit: commitInSavepoints, atOnce: 1 };

/**
 * Group commit. A commit costs one disk flush for any number of writes, so operations that arrive together share one
 * transaction; no caller gets its result before the flush.
 */
export class WriteQueue implements Writer {
  readonly #db: Kysely<Database>;
  readonly #options: CommitOptions;
  readonly #lanes = new Set<Promise<void>>();
  #waiting: QueuedWork[] = [];
  #busyLanes = 0;
  #closed = false;

  constructor(db: Kysely<Database>, options: CommitOptions = oneAfterTheOther) {
    this.#db = db;
    this.#options = options;
  }

  /** Runs `work` in a transaction; resolves with its value once that is on disk. */
  run<T>(work: Work<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new SolsticeError("unavailable", "The store is closed."));
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push(toQueued(work, resolve, reject));
      if (this.#busyLanes < this.#options.atOnce) this.#startLane();
    });
  }

  /** Refuses new work, and resolves when all accepted work is committed. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#lanes);
  }

  #startLane(): void {
    this.#busyLanes += 1;
    const lane = this.#drain();
    this.#lanes.add(lane);
    void lane.then(() => this.#lanes.delete(lane));
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      // One turn of the event loop lets every request that has arrived by now join this commit.
      await nextTurn();
      const share = Math.ceil(this.#waiting.length / this.#options.atOnce);
      if (share > 0) await this.#options.commit(this.#db, this.#waiting.splice(0, Math.min(maxBatch, share)));
    }
    // In the same turn as the check above: later work starts a lane again.
    this.#busyLanes -= 1;
  }
}

function toQueued<T>(
  work: Work<T>,
  resolve: (value: T) => void,
  reject: (error: unknown) => void,
): QueuedWork {
  let settle = () => {};
  return {
    async run(trx) {
      const value = await work(trx);
      settle = () => resolve(value);
    },
    committed: () => settle(),
    failed: reject,
  };
}

/**
 * Gives each operation its own savepoint: a failed operation is undone alone. A savepoint costs SQLite next to nothing.
 */
async function commitInSavepoints(db: Kysely<Database>, batch: readonly QueuedWork[]): Promise<void> {
  const succeeded: QueuedWork[] = [];
  try {
    await db.transaction().execute(async (trx) => {
      for (const queued of batch) {
        if (await runInSavepoint(trx, queued)) succeeded.push(queued);
      }
    });
  } catch (error) {
    for (const queued of batch) queued.failed(error);
    return;
  }
  for (const queued of succeeded) queued.committed();
}

async function runInSavepoint(trx: Transaction<Database>, queued: QueuedWork): Promise<boolean> {
  await sql`savepoint operation`.execute(trx);
  try {
    await queued.run(trx);
    await sql`release savepoint operation`.execute(trx);
    return true;
  } catch (error) {
    if (!(await undo(trx))) throw error;
    queued.failed(error);
    return false;
  }
}

/** False when the savepoint does not exist: after a full disk, SQLite itself has rolled back the whole batch. */
async function undo(trx: Transaction<Database>): Promise<boolean> {
  try {
    await sql`rollback to savepoint operation`.execute(trx);
    await sql`release savepoint operation`.execute(trx);
    return true;
  } catch {
    return false;
  }
}
