import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from "kysely";
import type { QueryResult as PgResult, Pool, PoolClient } from "pg";
import { SolsticeError } from "../../core/errors.ts";
import { isStatementOutdated, leavesConnectionUsable, toStoreError } from "./errors.ts";
import { StatementNames } from "./statement-names.ts";

/** Maximum number of calls that wait for a connection; further calls are refused rather than kept in memory. */
const maxWaiting = 20_000;

/** Kysely over a pool of `pg`. `database` names it in messages. */
export function postgresDialect(pool: Pool, database: string): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new PoolDriver(pool, database),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  };
}

/**
 * Differs from Kysely's own driver: errors are ours, a connection that failed is not used again, an error of the
 * rollback does not hide the first error, statements are prepared once, and a commit that the server turned into a
 * rollback is an error.
 */
class PoolDriver implements Driver {
  readonly #pool: Pool;
  readonly #database: string;
  readonly #names = new StatementNames();

  constructor(pool: Pool, database: string) {
    this.#pool = pool;
    this.#database = database;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<PoolConnection> {
    if (this.#pool.waitingCount >= maxWaiting) {
      throw new SolsticeError("unavailable", `${maxWaiting} calls wait for the database ${this.#database}.`, {
        remedy: "Try again later: the database is slower than its load requires.",
      });
    }
    try {
      return new PoolConnection(await this.#pool.connect(), { database: this.#database, names: this.#names });
    } catch (error) {
      throw toStoreError(this.#database, error);
    }
  }

  async beginTransaction(connection: PoolConnection): Promise<void> {
    await connection.run("begin");
  }

  async commitTransaction(connection: PoolConnection): Promise<void> {
    // The server answers ROLLBACK, without an error, when a statement of the transaction had failed.
    const { command } = await connection.run("commit");
    if (command !== "COMMIT")
      throw new SolsticeError("internal", "A transaction that had failed was committed.");
  }

  async rollbackTransaction(connection: PoolConnection): Promise<void> {
    // If this fails, the connection is closed, which undoes the transaction as well.
    await connection.run("rollback").catch(() => {});
  }

  async releaseConnection(connection: PoolConnection): Promise<void> {
    connection.release();
  }

  async destroy(): Promise<void> {
    await this.#pool.end();
  }
}

class PoolConnection implements DatabaseConnection {
  readonly #client: PoolClient;
  readonly #database: string;
  readonly #names: StatementNames;
  #isUsable = true;

  constructor(client: PoolClient, options: { database: string; names: StatementNames }) {
    this.#client = client;
    this.#database = options.database;
    this.#names = options.names;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { command, rowCount, rows } = await this.run(query.sql, query.parameters);
    const changes = /^(INSERT|UPDATE|DELETE|MERGE)$/.test(command);
    return { rows, ...(changes ? { numAffectedRows: BigInt(rowCount ?? 0) } : {}) };
  }

  async run(text: string, parameters: readonly unknown[] = []): Promise<PgResult> {
    try {
      const name = parameters.length === 0 ? null : this.#names.nameOf(text);
      return await this.#client.query({
        ...(name === null ? {} : { name }),
        text,
        values: parameters.map(toValue),
      });
    } catch (error) {
      if (!leavesConnectionUsable(error)) this.#isUsable = false;
      if (isStatementOutdated(error)) this.#names.forget();
      throw toStoreError(this.#database, error);
    }
  }

  streamQuery(): never {
    throw new SolsticeError("internal", "The store reads in pages; streaming is not supported.");
  }

  release(): void {
    this.#client.release(!this.#isUsable);
  }
}

/**
 * PostgreSQL's text holds every character except NUL, and refuses the whole statement because of one. Foreign texts can
 * contain it: the name of a repository, or the last lines of a console in a verdict. It is replaced by U+FFFD.
 */
function toValue(parameter: unknown): unknown {
  return typeof parameter === "string" && parameter.includes("\0")
    ? parameter.replaceAll("\0", "\ufffd")
    : parameter;
}
