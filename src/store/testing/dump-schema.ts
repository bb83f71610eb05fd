import { sql } from "kysely";
import type { Store } from "../store.ts";
import { createSqliteDatabase } from "./test-database.ts";

const header =
  "-- The schema that the migrations lead to, on SQLite. A test keeps this file true; it is never run.\n";

/** The text of `schema.sql`. Run as a program, this file prints it for a new database. */
export async function dumpSchema(store: Store): Promise<string> {
  const objects = await sql<{ sql: string }>`
    select sql from sqlite_schema where sql is not null order by tbl_name, type desc, name
  `.execute(store.db);
  return header + objects.rows.map((row) => `\n${row.sql};\n`).join("");
}

if (import.meta.main) {
  const database = await createSqliteDatabase();
  const store = await database.open();
  process.stdout.write(await dumpSchema(store));
  await store.close();
  await database.remove();
}
