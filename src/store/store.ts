import { Kysely, type Transaction } from "kysely";
import { sqliteSchemaDialect } from "./schema/dialect.ts";
import { migrate } from "./schema/migrate.ts";
import type { Migration } from "./schema/migrations.ts";
import type { Database } from "./schema/schema.ts";
import { nodeSqliteDialect } from "./sqlite/dialect.ts";
import { openDatabaseFile } from "./sqlite/open.ts";
import { reclaimSpace } from "./sqlite/reclaim.ts";
import { WriteQueue, type Writer } from "./write-queue.ts";

/**
 * Announces a change, so that loops and followers need not poll fast. A wake may be late, repeated or missing (on
 * SQLite when another process wrote), so listeners also poll slowly.
 * - `queue`: a job became queued. `job`: any other change of a job, its steps or its machine. `log`: bytes arrived.
 */
export interface JobWake {
  readonly kind: "job" | "log" | "queue";
  readonly jobId: string;
  /** Only in the process that wrote the change: the job has ended, so its slot is free and its result may wait. */
  readonly ended?: boolean;
  /** Only in the process that wrote the change: an active job is queued again, so its slot is free. */
  readonly requeued?: boolean;
  /** Only in the process that wrote the change: the job's guest was put on hold, so its slot is free. */
  readonly onHold?: boolean;
}

/** A change of one job; or `all`, when changes of any job may have been missed. */
export type Wake = JobWake | { readonly kind: "all" };

/** One operation's writes. `announce` collects wakes, which are sent after the commit. */
export type Write<T> = (trx: Transaction<Database>, announce: (wake: Wake) => void) => Promise<T>;

/** A write in progress, for functions that are a part of one. */
export interface OpenWrite {
  readonly store: Store;
  readonly trx: Transaction<Database>;
  readonly announce: (wake: Wake) => void;
}

/** An open store: the first parameter of the functions in the other files. */
export interface Store {
  /** For reads. Never use it inside a write: there the transaction is the connection. */
  readonly db: Kysely<Database>;
  /** True when the database supports `for update skip locked`. Otherwise writers run one after the other. */
  readonly canSkipLocked: boolean;
  /** True when the end of a job is written together with its row in the outbox. */
  readonly recordsResults: boolean;
  /** Runs one operation in one transaction; resolves when it is on disk. */
  write<T>(work: Write<T>): Promise<T>;
  /** Calls `listener` after each commit that changed something. Returns the function that ends this. */
  subscribe(listener: (wake: Wake) => void): () => void;
  /** Sends a wake to all listeners of this process. */
  wake(wake: Wake): void;
  /**
   * Returns space of deleted rows to the disk, where the database does not do so itself (PostgreSQL uses it again).
   * Returns the number of bytes.
   */
  reclaim(): Promise<number>;
  /** Commits the accepted writes, then closes. */
  close(): Promise<void>;
}

/** Options for opening a store of either kind. */
export interface StoreOptions {
  /** See {@link Store}; false when absent. */
  readonly recordsResults?: boolean;
  /** The migrations to apply; those of this version when absent. */
  readonly migrations?: readonly Migration[];
}

/** Opens the embedded store: creates directories and file, and migrates. Throws `store_failed` or `disk_full`. */
export async function openSqliteStore(options: StoreOptions & { readonly path: string }): Promise<Store> {
  const database = await openDatabaseFile(options.path);
  const db = new Kysely<Database>({ dialect: nodeSqliteDialect(database, options.path) });
  try {
    await migrate(db, sqliteSchemaDialect, options.migrations);
  } catch (error) {
    await db.destroy();
    throw error;
  }
  const queue = new WriteQueue(db);
  const reclaim = () => reclaimSpace(database, { db, queue, path: options.path });
  return createStore(db, { writer: queue, reclaim, recordsResults: options.recordsResults ?? false });
}

/** Carries wakes to the other processes that use the database. */
export interface WakeExchange {
  /** Sends soon, and never fails: a wake may get lost. */
  send(wake: Wake): void;
  /** Sends waiting wakes, then closes. */
  close(): Promise<void>;
}

/** Differences between the databases once they are open. */
interface StoreParts {
  readonly writer?: Writer;
  readonly exchange?: WakeExchange;
  readonly canSkipLocked?: boolean;
  readonly reclaim?: () => Promise<number>;
  readonly recordsResults?: boolean;
}

/** A store over a migrated database of either dialect. Without `parts` it is for a single process. */
export function createStore(db: Kysely<Database>, parts: StoreParts = {}): Store {
  const { writer = new WriteQueue(db), exchange = null } = parts;
  const listeners = new Set<(wake: Wake) => void>();
  const wake = (sent: Wake) => {
    // In a separate turn: a listener that throws is a defect of the listener, and not a failed write.
    for (const listener of listeners) queueMicrotask(() => listener(sent));
  };
  return {
    db,
    canSkipLocked: parts.canSkipLocked ?? false,
    recordsResults: parts.recordsResults ?? false,
    reclaim: parts.reclaim ?? (async () => 0),
    wake,
    async write(work) {
      let wakes: Wake[] = [];
      const value = await writer.run(async (trx) => {
        const announced: Wake[] = [];
        wakes = announced;
        return work(trx, (sent) => announced.push(sent));
      });
      for (const announced of wakes) {
        wake(announced);
        exchange?.send(announced);
      }
      return value;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      await writer.close();
      await exchange?.close();
      await db.destroy();
    },
  };
}
