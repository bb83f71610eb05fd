import { sql } from "kysely";
import { startPrivatePostgres } from "../../../test/support/servers/private-postgres.ts";
import type { Store } from "../store.ts";
import { createPostgresDatabase, createSqliteDatabase, type TestDatabase } from "./test-database.ts";

/** The text of `schema.sql`: the schema after all migrations, on SQLite. */
export async function dumpSchema(store: Store): Promise<string> {
  const objects = await sql<{ sql: string }>`
    select sql from sqlite_schema where sql is not null order by tbl_name, type desc, name
  `.execute(store.db);
  return header("SQLite") + objects.rows.map((row) => `\n${row.sql};\n`).join("");
}

/** The text of `schema.postgres.sql`, from PostgreSQL's catalog: its tables with their constraints, then their indexes. */
export async function dumpPostgresSchema(store: Store): Promise<string> {
  const columns = await sql<{ table: string; line: string }>`
    select c.relname as table, a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
      || case when l.collname = 'C' then ' collate "C"' else '' end
      || case when a.attnotnull then ' not null' else '' end
      || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') as line
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
      left join pg_collation l on l.oid = a.attcollation
    where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace
    order by c.relname collate "C", a.attnum
  `.execute(store.db);
  const constraints = await sql<{ table: string; line: string }>`
    select c.relname as table, pg_get_constraintdef(k.oid) as line
    from pg_constraint k join pg_class c on c.oid = k.conrelid
    where k.connamespace = current_schema()::regnamespace order by k.contype desc, k.conname collate "C"
  `.execute(store.db);
  const indexes = await sql<{ table: string; line: string }>`
    select tablename as table, indexdef as line from pg_indexes
    where schemaname = current_schema() order by indexname collate "C"
  `.execute(store.db);
  const tables = [...new Set(columns.rows.map((row) => row.table))];
  const linesOf = (rows: readonly { table: string; line: string }[], table: string) =>
    rows.filter((row) => row.table === table).map((row) => row.line);
  const dumpTable = (table: string) => {
    const lines = [...linesOf(columns.rows, table), ...linesOf(constraints.rows, table)];
    return `\ncreate table ${table} (\n  ${lines.join(",\n  ")}\n);\n${linesOf(indexes.rows, table)
      .map((index) => `${index};\n`)
      .join("")}`;
  };
  return header("PostgreSQL") + tables.map(dumpTable).join("");
}

function header(database: string): string {
  return `-- The schema after all migrations, on ${database}. A test compares this file with the database; it is never run.\n`;
}

/** Prints a new database's schema: `dump-schema.ts` for SQLite, `dump-schema.ts postgres` for PostgreSQL. */
async function printSchema(database: TestDatabase, dump: (store: Store) => Promise<string>): Promise<void> {
  const store = await database.open();
  process.stdout.write(await dump(store));
  await store.close();
  await database.remove();
}

if (import.meta.main) {
  if (process.argv[2] === "postgres") {
    const server = await startPrivatePostgres();
    await printSchema(await createPostgresDatabase(server), dumpPostgresSchema);
    await server.stop();
  } else {
    await printSchema(await createSqliteDatabase(), dumpSchema);
  }
}
