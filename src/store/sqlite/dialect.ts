import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import {
  type DatabaseConnection,
  type Dialect,
  SqliteAdapter,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type SqliteStatement,
} from "kysely";
import { isBusy, toStoreError, withStoreErrors } from "./errors.ts";

/** Time for which a single statement waits for another process, in the rare case that it must. */
export const busyTimeoutMs = 10_000;

/**
 * Maximum number of prepared statements of a connection. Queries are few and fixed; the limit is for queries with lists
 * in them.
 */
const maxCachedStatements = 500;

/** Kysely over Node's own SQLite: an adapter for the better-sqlite3 interface that Kysely's driver expects. */
export function nodeSqliteDialect(database: DatabaseSync, path: string): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new ImmediateDriver(database, path),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

/**
 * Tries to begin a transaction while another process, for some milliseconds, has the lock; and the pause between them.
 */
const maxBeginAttempts = 5000;
const beginRetryMs = 2;

/**
 * Transactions take the write lock when they begin. A deferred transaction that reads first and writes later fails at
 * once with SQLITE_BUSY when another process wrote in between, and no timeout helps there. We wait for the lock
 * ourselves, since a wait within SQLite would block the whole process.
 */
class ImmediateDriver extends SqliteDriver {
  readonly #database: DatabaseSync;
  readonly #path: string;

  constructor(database: DatabaseSync, path: string) {
    super({ database: adapt(database, path) });
    this.#database = database;
    this.#path = path;
  }

  override async beginTransaction(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.#beginAtOnce();
        return;
      } catch (error) {
        if (!isBusy(error) || attempt === maxBeginAttempts) throw toStoreError(this.#path, error);
        await delay(beginRetryMs);
      }
    }
  }

  #beginAtOnce(): void {
    this.#database.exec("pragma busy_timeout = 0");
    try {
      this.#database.exec("begin immediate");
    } finally {
      this.#database.exec(`pragma busy_timeout = ${busyTimeoutMs}`);
    }
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // SQLite rolls back by itself after some errors (full disk, I/O); a second rollback would hide the first error.
    if (this.#database.isTransaction) await super.rollbackTransaction(connection);
  }
}

function adapt(database: DatabaseSync, path: string) {
  const cache = new Map<string, SqliteStatement>();
  return {
    close: () => withStoreErrors(path, () => database.close()),
    prepare(sql: string): SqliteStatement {
      const cached = cache.get(sql);
      if (cached !== undefined) return cached;
      const statement = adaptStatement(
        withStoreErrors(path, () => database.prepare(sql)),
        path,
      );
      if (cache.size >= maxCachedStatements) cache.clear();
      cache.set(sql, statement);
      return statement;
    },
  };
}

function adaptStatement(statement: StatementSync, path: string): SqliteStatement {
  const values = (parameters: readonly unknown[]) => parameters as readonly SQLInputValue[];
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => withStoreErrors(path, () => statement.all(...values(parameters))),
    run: (parameters) => withStoreErrors(path, () => statement.run(...values(parameters))),
    iterate: (parameters) => withStoreErrors(path, () => statement.iterate(...values(parameters))),
  };
}
