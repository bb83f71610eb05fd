import { setTimeout as delay } from "node:timers/promises";
import { Kysely } from "kysely";
import { Client, Pool } from "pg";
import { isSolsticeError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { postgresSchemaDialect } from "../schema/dialect.ts";
import { migrate } from "../schema/migrate.ts";
import type { Database } from "../schema/schema.ts";
import { createStore, type Store, type StoreOptions, type Wake } from "../store.ts";
import { WriteQueue } from "../write-queue.ts";
import { commitBatch } from "./commit-batch.ts";
import { clientConfig, databaseName, poolConnections, sessionSettings } from "./connection.ts";
import { postgresDialect } from "./driver.ts";
import { toStoreError } from "./errors.ts";
import { PostgresWakeExchange } from "./wake-exchange.ts";

/**
 * Number of concurrent transactions: while one waits for the flush, another one works. Measured on 2 cores with 64
 * callers: 1 gives 300 jobs/s through all their states, 4 give 550, one for each operation (no sharing, 8 connections)
 * 200.
 */
const batchesAtOnce = 4;

/** Pause between tries to reach the database at the start, in ms. */
const startRetryMs = 1_000;

/** Options for opening the shared store. */
export interface PostgresStoreOptions extends StoreOptions {
  /** `postgres://user:password@host:port/name`; messages show it without user and password. */
  readonly url: string;
  /** Longest wait for a database that does not answer, in seconds. */
  readonly waitSeconds: number;
  /** Gets a line when the start waits for the database, and when wakes of other hosts stop and resume. */
  readonly log: Log;
}

/**
 * Opens the store that several hosts share, and migrates it. Throws `unavailable` when the database does not answer within
 * `waitSeconds`, and `store_failed` at once when it refuses.
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<Store> {
  const { url, log } = options;
  const database = databaseName(url);
  await migrateWhenThere(options, database);
  const pool = createPool(url, { max: poolConnections, bounded: true });
  const db = new Kysely<Database>({ dialect: postgresDialect(pool, database) });
  let deliver: (wake: Wake) => void = () => {};
  const connect = () => connectClient(url, database);
  const exchange = new PostgresWakeExchange({ connect, deliver: (wake) => deliver(wake), log });
  const store = createStore(db, {
    writer: new WriteQueue(db, { commit: commitBatch, atOnce: batchesAtOnce }),
    exchange,
    canSkipLocked: true,
    recordsResults: options.recordsResults ?? false,
  });
  deliver = store.wake;
  try {
    await exchange.open();
    return store;
  } catch (error) {
    await db.destroy();
    throw toStoreError(database, error);
  }
}

/** Retries, since the server may be starting as well: after a power cut, everything starts at once. */
async function migrateWhenThere(options: PostgresStoreOptions, database: string): Promise<void> {
  const deadline = performance.now() + options.waitSeconds * 1000;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await migrateOnce(options, database);
    } catch (error) {
      if (!isSolsticeError(error, "unavailable") || performance.now() >= deadline) throw error;
      const message = `${error.message} Waiting for the database, at most ${options.waitSeconds} s.`;
      if (attempt === 1) options.log.warn({ database }, message);
      await delay(startRetryMs);
    }
  }
}

/** Migrates on a separate connection without time limits: an index over many rows can take long. */
async function migrateOnce({ url, migrations }: PostgresStoreOptions, database: string): Promise<void> {
  const pool = createPool(url, { max: 1, bounded: false });
  const db = new Kysely<Database>({ dialect: postgresDialect(pool, database) });
  try {
    await migrate(db, postgresSchemaDialect, migrations);
  } finally {
    await db.destroy();
  }
}

function createPool(url: string, options: { max: number; bounded: boolean }): Pool {
  const pool = new Pool({
    ...clientConfig(url, options),
    max: options.max,
    onConnect: async (client) => {
      if (options.bounded) await client.query(sessionSettings);
    },
  });
  // Without listeners, a broken connection ends the process: one listener for connections in the pool, one for those in
  // use. The pending call gets the error too, and the pool replaces the connection.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

async function connectClient(url: string, database: string): Promise<Client> {
  const client = new Client(clientConfig(url, { bounded: true }));
  client.on("error", () => {});
  try {
    await client.connect();
    return client;
  } catch (error) {
    throw toStoreError(database, error);
  }
}
