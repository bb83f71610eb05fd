import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { busyTimeoutMs } from "./dialect.ts";
import { isBusy, toStoreError, withStoreErrors } from "./errors.ts";

/** Tries to switch to WAL: when two processes open a new file at once, SQLite refuses the switch without waiting. */
const walAttempts = 200;
const walRetryMs = 25;

/**
 * Size to which the write-ahead log is cut after a large transaction, in bytes. It is written into the database (and
 * started again) every 4 MiB, so this is a limit and not its usual size.
 */
const walSizeLimitBytes = 64 * 1024 * 1024;

/** SQLite's name for a database in memory. Refused: we would create a file of that name, and store no data in it. */
const inMemory = ":memory:";

/**
 * Opens a database file, or creates it, readable only by this user since requests may hold private values. Acknowledged
 * writes are durable: WAL, and every commit on disk before it returns. Throws `store_failed` or `disk_full`.
 */
export async function openDatabaseFile(path: string): Promise<DatabaseSync> {
  if (path === inMemory) throw new TypeError(`The store needs a file: give a path instead of ${inMemory}.`);
  const database = withStoreErrors(path, () => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, "a", 0o600));
    return new DatabaseSync(path, { timeout: busyTimeoutMs, enableForeignKeyConstraints: true });
  });
  try {
    // Takes effect only in a new file: deleted rows can then give their space back to the disk. See `reclaim.ts`.
    database.exec("pragma auto_vacuum = incremental");
    await enableWal(database);
    database.exec(`pragma synchronous = full; pragma journal_size_limit = ${walSizeLimitBytes}`);
    return database;
  } catch (error) {
    database.close();
    throw toStoreError(path, error);
  }
}

async function enableWal(database: DatabaseSync): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      database.exec("pragma journal_mode = wal");
      return;
    } catch (error) {
      if (!isBusy(error) || attempt === walAttempts) throw error;
      await delay(walRetryMs);
    }
  }
}
