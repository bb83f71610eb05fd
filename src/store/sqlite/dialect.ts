import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  SqliteAdapter,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type SqliteStatement,
} from "kysely";
import { withStoreErrors } from "./errors.ts";

/** Prepared statements kept per connection. Queries are few and fixed; the bound is for those with lists in them. */
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
 * Transactions take the write lock when they begin. A deferred one that reads first and writes later fails at once with
 * SQLITE_BUSY when another process wrote in between, and no timeout helps there.
 */
class ImmediateDriver extends SqliteDriver {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync, path: string) {
    super({ database: adapt(database, path) });
    this.#database = database;
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("begin immediate"));
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
      const known = cache.get(sql);
      if (known !== undefined) return known;
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
