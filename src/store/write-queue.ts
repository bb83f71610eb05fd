import { setImmediate as nextTurn } from "node:timers/promises";
import { type Kysely, sql, type Transaction } from "kysely";
import { SolsticeError } from "../core/errors.ts";
import type { Database } from "./schema.ts";

/** Operations that share one commit at most: bounds how long a transaction holds the write lock. */
const maxBatch = 100;

/** One operation's writes; what it returns reaches the caller after the commit. It may be run again, from its start. */
export type Work<T> = (trx: Transaction<Database>) => Promise<T>;

/** Runs the writes of a store. */
export interface Writer {
  /** Runs `work` in a transaction; resolves with its value once that is on disk. */
  run<T>(work: Work<T>): Promise<T>;
  /** Refuses new work, and resolves when all that was accepted has ended. */
  close(): Promise<void>;
}

interface Waiting {
  run(trx: Transaction<Database>): Promise<void>;
  committed(): void;
  failed(error: unknown): void;
}

/**
 * Group commit. A commit costs one disk flush however much is in it, so operations that arrive together share one
 * transaction, each in a savepoint of its own: one that fails is undone alone, and nobody is answered before the flush.
 */
export class WriteQueue implements Writer {
  readonly #db: Kysely<Database>;
  #waiting: Waiting[] = [];
  #draining: Promise<void> | null = null;
  #closed = false;

  constructor(db: Kysely<Database>) {
    this.#db = db;
  }

  /** Runs `work` in a transaction; resolves with its value once that is on disk. */
  run<T>(work: Work<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new SolsticeError("unavailable", "The store is closed."));
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push(toWaiting(work, resolve, reject));
      this.#draining ??= this.#drain();
    });
  }

  /** Refuses new work, and resolves when all that was accepted is committed. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#draining;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      // One turn of the event loop lets every request that has arrived by now join this commit.
      await nextTurn();
      await this.#commit(this.#waiting.splice(0, maxBatch));
    }
    this.#draining = null;
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const succeeded: Waiting[] = [];
    try {
      await this.#db.transaction().execute(async (trx) => {
        for (const waiting of batch) {
          if (await runAlone(trx, waiting)) succeeded.push(waiting);
        }
      });
    } catch (error) {
      for (const waiting of batch) waiting.failed(error);
      return;
    }
    for (const waiting of succeeded) waiting.committed();
  }
}

function toWaiting<T>(work: Work<T>, resolve: (value: T) => void, reject: (error: unknown) => void): Waiting {
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

async function runAlone(trx: Transaction<Database>, waiting: Waiting): Promise<boolean> {
  await sql`savepoint operation`.execute(trx);
  try {
    await waiting.run(trx);
    await sql`release savepoint operation`.execute(trx);
    return true;
  } catch (error) {
    if (!(await undo(trx))) throw error;
    waiting.failed(error);
    return false;
  }
}

/** False when there was nothing to go back to: after a full disk, SQLite itself has rolled back the whole batch. */
async function undo(trx: Transaction<Database>): Promise<boolean> {
  try {
    await sql`rollback to savepoint operation`.execute(trx);
    await sql`release savepoint operation`.execute(trx);
    return true;
  } catch {
    return false;
  }
}
