import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { openSqliteStore, type Store } from "../store.ts";

/** A database of one test. */
export interface TestDatabase {
  /** Opens a handle on it, as one more process would. */
  open(): Promise<Store>;
  /** What `insert-forever.ts` takes to open the same database. */
  readonly childArguments: readonly string[];
  remove(): Promise<void>;
}

/** Gives an empty database. */
export type CreateDatabase = () => Promise<TestDatabase>;

/** An empty SQLite database in a directory of its own. */
export async function createSqliteDatabase(): Promise<TestDatabase> {
  const directory = await mkdtemp(join(tmpdir(), "solstice-store-"));
  const path = join(directory, "state", "solstice.sqlite");
  return {
    open: () => openSqliteStore({ path }),
    childArguments: [path],
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** One handle on an empty database; both go when the test ends. */
export async function openForTest(context: TestContext, create: CreateDatabase): Promise<Store> {
  return (await openSeveral(context, create, 1))[0] as Store;
}

/** Several handles on one empty database, opened at the same moment; all go when the test ends. */
export async function openSeveral(
  context: TestContext,
  create: CreateDatabase,
  count: number,
): Promise<Store[]> {
  const database = await create();
  const stores = await Promise.all(Array.from({ length: count }, () => database.open()));
  context.after(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await database.remove();
  });
  return stores;
}
