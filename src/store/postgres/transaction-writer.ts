import { setTimeout as delay } from "node:timers/promises";
import type { Kysely } from "kysely";
import { SolsticeError } from "../../core/errors.ts";
import type { Database } from "../schema.ts";
import type { Work, Writer } from "../write-queue.ts";
import { isStatementOutdated, isUndoneForAnother } from "./errors.ts";

/** How often an operation is tried whose transaction the server undid for the sake of another one. */
const maxAttempts = 6;

/** The pause before a repeat is random, up to this for each attempt so far, in ms: two that collided must part. */
const maxPauseMs = 20;

/**
 * Runs each operation in a transaction of its own, several at a time. PostgreSQL flushes the commits that arrive together
 * at once by itself, and a shared transaction would hold the rows of many jobs until its end, each a chance of a deadlock
 * with other hosts.
 */
export class TransactionWriter implements Writer {
  readonly #db: Kysely<Database>;
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  constructor(db: Kysely<Database>) {
    this.#db = db;
  }

  /** Runs `work` in a transaction, again after a deadlock; resolves with its value once that is on disk. */
  run<T>(work: Work<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new SolsticeError("unavailable", "The store is closed."));
    const running = this.#attempt(work);
    this.#running.add(running);
    const forget = () => this.#running.delete(running);
    running.then(forget, forget);
    return running;
  }

  /** Refuses new work, and resolves when all that was accepted has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#running);
  }

  async #attempt<T>(work: Work<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#db.transaction().execute(work);
      } catch (error) {
        if (attempt === maxAttempts || !(isUndoneForAnother(error) || isStatementOutdated(error)))
          throw error;
        await delay(Math.random() * maxPauseMs * attempt);
      }
    }
  }
}
