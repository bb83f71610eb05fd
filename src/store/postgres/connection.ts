import { type ClientConfig, types } from "pg";

/** Connections of a host's pool at most. */
export const poolConnections = 8;

/** With the one that listens for wakes, and the one that renews a lease while the event loop is held up. */
export const connectionsPerHost = poolConnections + 2;

/** How long connecting may take, and waiting for one of the pool's connections, in ms. */
const connectTimeoutMs = 10_000;

/** How long the server works on a statement, and waits for a lock within it, in ms. */
const statementTimeoutMs = 10_000;
const lockTimeoutMs = 500;

/** How long an answer is waited for, in ms: longer than the server's own limit, for a network that swallows packets. */
const answerTimeoutMs = 12_000;

/** After this the server gives up a transaction whose host has vanished, and with it the locks, in ms. */
const idleInTransactionTimeoutMs = 20_000;

/** Types whose values fit into a number here: int8 (times in ms, bytes, counts), and numeric (sums of int8). */
const numberTypes: ReadonlySet<number> = new Set([types.builtins.INT8, types.builtins.NUMERIC]);

/**
 * What each connection is set to. The timeouts bound every call. A server may be set to confirm commits before they are on
 * disk: not here. Every query of ours has its index, and the planner is kept to those: its statistics are minutes old,
 * while a queue of 100,000 jobs comes and goes within them. (Forbidding sorts too made `listActive` walk all jobs.)
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

/** How a client connects to `url`. Without `bounded` a statement may take as long as it takes: for migrations. */
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
