import { Kysely, type Transaction } from "kysely";
import { sqliteSchemaDialect } from "./dialect.ts";
import { migrate } from "./migrate.ts";
import type { Database } from "./schema.ts";
import { nodeSqliteDialect } from "./sqlite/dialect.ts";
import { openDatabaseFile } from "./sqlite/open.ts";
import { WriteQueue } from "./write-queue.ts";

/**
 * Says that something changed, so that loops and followers need not poll. It may be late, doubled or missing (another
 * process wrote): whoever listens also looks by themselves now and then.
 * - `queue`: a job became queued. `job`: any other change of a job, its steps or its machine. `log`: bytes arrived.
 */
export interface Wake {
  readonly kind: "job" | "log" | "queue";
  readonly jobId: string;
}

/** One operation's writes. `announce` collects wakes, which are sent after the commit. */
export type Write<T> = (trx: Transaction<Database>, announce: (wake: Wake) => void) => Promise<T>;

/** An open store. The functions of the other files take it first. */
export interface Store {
  /** For reads. Never use it inside a write: there the transaction is the connection. */
  readonly db: Kysely<Database>;
  /** Runs one operation in one transaction; resolves when it is on disk. */
  write<T>(work: Write<T>): Promise<T>;
  /** Calls `listener` after each commit that changed something. Returns the function that ends this. */
  subscribe(listener: (wake: Wake) => void): () => void;
  /** Tells all listeners, as a write would. */
  wake(wake: Wake): void;
  /** Commits what was accepted, then closes. */
  close(): Promise<void>;
}

/** Opens the embedded store: creates directories and file, and migrates. Throws `store_failed` or `disk_full`. */
export async function openSqliteStore(options: { path: string }): Promise<Store> {
  const database = await openDatabaseFile(options.path);
  const db = new Kysely<Database>({ dialect: nodeSqliteDialect(database, options.path) });
  try {
    await migrate(db, sqliteSchemaDialect);
  } catch (error) {
    await db.destroy();
    throw error;
  }
  return createStore(db);
}

/** A store over a migrated database of either dialect. */
export function createStore(db: Kysely<Database>): Store {
  const queue = new WriteQueue(db);
  const listeners = new Set<(wake: Wake) => void>();
  const wake = (sent: Wake) => {
    // In a turn of its own: a listener that throws is a defect of the listener, and not a failed write.
    for (const listener of listeners) queueMicrotask(() => listener(sent));
  };
  return {
    db,
    wake,
    async write(work) {
      const wakes: Wake[] = [];
      const value = await queue.run((trx) => work(trx, (announced) => wakes.push(announced)));
      wakes.forEach(wake);
      return value;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      await queue.close();
      await db.destroy();
    },
  };
}
