import { type ClientConfig, types } from "pg";

/** Maximum number of connections of a host's pool. */
export const poolConnections = 8;

/** Plus the connection that listens for wakes, and the one that renews the lease while the event loop is blocked. */
export const connectionsPerHost = poolConnections + 2;

/** Time limit for connecting, and for waiting for a connection of the pool, in ms. */
const connectTimeoutMs = 10_000;

/** The server's time limits for a statement, and for a lock within it, in ms. */
const statementTimeoutMs = 10_000;
const lockTimeoutMs = 500;

/** Time limit for an answer, in ms: longer than the server's own limit, for a network that drops packets. */
const answerTimeoutMs = 12_000;

/** After this time the server ends a transaction whose host has vanished, and releases its locks, in ms. */
const idleInTransactionTimeoutMs = 20_000;

/** Types whose values fit into a number here: int8 (times in ms, bytes, counts), and numeric (sums of int8). */
const numberTypes: ReadonlySet<number> = new Set([types.builtins.INT8, types.builtins.NUMERIC]);

/**
 * Settings of each connection. The timeouts limit every call. A server may be configured to confirm commits before they
 * are on disk: these settings prevent that. Each of our queries has its index, and the planner is restricted to
 * indexes: its statistics are minutes old, while a queue of 100,000 jobs comes and goes within minutes. (Forbidding
 * sorts too made `listActive` walk all jobs.)
 */
export const sessionSettings = `
set statement_timeout = ${statementTimeoutMs};
set lock_timeout = ${lockTimeoutMs};
set idle_in_transaction_session_timeout = ${idleInTransactionTimeoutMs};
set default_transaction_isolation = 'read committed';
set enable_seqscan = off;
set enable_bitmapscan = off;
set jit = off;
select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'`;

/** Configuration of a client for `url`. Without `bounded` a statement has no time limit: for migrations. */
export function clientConfig(url: string, options: { bounded: boolean }): ClientConfig {
  return {
    connectionString: url,
    application_name: "solstice",
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    ...(options.bounded ? { query_timeout: answerTimeoutMs } : {}),
    types: {
      getTypeParser: (type, format) =>
        numberTypes.has(type) && format !== "binary" ? Number : types.getTypeParser(type, format),
    },
  };
}

/** The database that `url` names, for messages: host, port and name, without user and password. */
export function databaseName(url: string): string {
  const { host, pathname, searchParams } = new URL(url);
  return `${searchParams.get("host") ?? (host || "localhost")}${pathname}`;
}
