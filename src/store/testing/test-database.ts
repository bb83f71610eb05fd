import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { memoryDirectory } from "../../../test/support/memory-directory.ts";
import { administerPostgres } from "../../../test/support/servers/private-postgres.ts";
import type { SharedPostgres } from "../../../test/support/servers/servers.ts";
import { silentLog } from "../../core/log.ts";
import { openPostgresStore } from "../postgres/open.ts";
import { openSqliteStore, type Store, type StoreOptions } from "../store.ts";

/** A database of one test. */
export interface TestDatabase {
  /** Opens a handle on it, like a further process. */
  open(options?: StoreOptions): Promise<Store>;
  /** Arguments for `insert-forever.ts` to open the same database. */
  readonly childArguments: readonly string[];
  remove(): Promise<void>;
}

/** Creates an empty database. */
export type CreateDatabase = () => Promise<TestDatabase>;

/** An empty SQLite database in a directory of its own. */
export async function createSqliteDatabase(): Promise<TestDatabase> {
  const directory = await mkdtemp(join(memoryDirectory(), "solstice-store-"));
  const path = join(directory, "state", "solstice.sqlite");
  return {
    open: (options) => openSqliteStore({ path, ...options }),
    childArguments: [path],
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** An empty database on a PostgreSQL server for tests. */
export async function createPostgresDatabase(server: SharedPostgres): Promise<TestDatabase> {
  const url = await server.createDatabase();
  return postgresDatabase(url, () => server.removeDatabase(url));
}

/**
 * Databases that have their tables already, and are emptied and reused: creating one takes as long as a whole test. A
 * killed process may still change a database after its return, so a test with such a process takes a new one.
 */
export function reusePostgresDatabases(server: SharedPostgres): CreateDatabase {
  const unused: string[] = [];
  return async () => {
    const url = unused.pop() ?? (await server.createDatabase());
    return postgresDatabase(url, async () => {
      await administerPostgres(url, deleteAllRows);
      unused.push(url);
    });
  };
}

/** Runs as a replica, which does not check references, so that the order of the tables does not matter. */
const deleteAllRows = `
  do $$ declare name text; begin
    set local session_replication_role = replica;
    for name in select tablename from pg_tables where schemaname = 'public' and tablename <> 'schema_migrations' loop
      execute format('delete from %I', name);
    end loop;
  end $$`;

function postgresDatabase(url: string, remove: () => Promise<void>): TestDatabase {
  return { open: (options) => openAt(url, options), childArguments: [url], remove };
}

/** Opens the database with a name as in {@link TestDatabase.childArguments}: a path or a URL. */
export function openAt(place: string, options: StoreOptions = {}): Promise<Store> {
  if (!place.startsWith("postgres:")) return openSqliteStore({ path: place, ...options });
  return openPostgresStore({ url: place, waitSeconds: 0, log: silentLog, ...options });
}

/** One handle on an empty database; both are removed when the test ends. */
export async function openForTest(context: TestContext, create: CreateDatabase): Promise<Store> {
  return (await openSeveral(context, create, 1))[0] as Store;
}

/** Several handles on one empty database, opened at the same moment; all are removed when the test ends. */
export async function openSeveral(
  context: TestContext,
  create: CreateDatabase,
  handles: number | (StoreOptions & { count: number }),
): Promise<Store[]> {
  const { count, ...options } = typeof handles === "number" ? { count: handles } : handles;
  const database = await create();
  const stores = await Promise.all(Array.from({ length: count }, () => database.open(options)));
  context.after(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await database.remove();
  });
  return stores;
}
