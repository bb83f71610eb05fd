import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { busyTimeoutMs } from "./dialect.ts";
import { isBusy, toStoreError, withStoreErrors } from "./errors.ts";

/** Two processes that open a new file at once: the switch to WAL is refused at once, not waited for. */
const walAttempts = 200;
const walRetryMs = 25;

/**
 * Opens (and creates, readable by this user only: requests may hold private values) a database file that keeps what it
 * acknowledged: WAL, and every commit on disk before it returns. Throws `store_failed` or `disk_full`.
 */
export async function openDatabaseFile(path: string): Promise<DatabaseSync> {
  const database = withStoreErrors(path, () => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, "a", 0o600));
    return new DatabaseSync(path, { timeout: busyTimeoutMs, enableForeignKeyConstraints: true });
  });
  try {
    await enableWal(database);
    database.exec("pragma synchronous = full");
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
