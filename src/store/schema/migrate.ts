import { type Kysely, sql, type Transaction } from "kysely";
import { SolsticeError } from "../../core/errors.ts";
import type { SchemaDialect } from "./dialect.ts";
import { type Migration, migrations } from "./migrations.ts";

/**
 * Brings the schema up to date, all or nothing. Two processes may start at once: the transactions are exclusive against
 * each other from their first statement, so the second one finds everything done. Throws `store_failed` when the database
 * was written by a newer version.
 */
export async function migrate<Tables>(db: Kysely<Tables>, dialect: SchemaDialect): Promise<void> {
  await db.transaction().execute(async (trx) => {
    if (dialect.migrationLock !== null) await sql.raw(dialect.migrationLock).execute(trx);
    await sql`create table if not exists schema_migrations (
  name text primary key
)`.execute(trx);
    const applied = await sql<{ name: string }>`select name from schema_migrations`.execute(trx);
    const names = new Set(applied.rows.map((row) => row.name));
    if (schemaState([...names]) === "current") return;
    for (const migration of migrations) {
      if (!names.has(migration.name)) await apply(trx, migration, dialect);
    }
  });
}

async function apply<Tables>(trx: Transaction<Tables>, migration: Migration, dialect: SchemaDialect) {
  for (const statement of migration.statements(dialect)) await sql.raw(statement).execute(trx);
  await sql`insert into schema_migrations (name) values (${migration.name})`.execute(trx);
}

/** How far a database has come that has applied these migrations. Throws `store_failed` when one of them is unknown. */
export function schemaState(applied: readonly string[]): "empty" | "older" | "current" {
  const known = migrations.map(({ name }) => name);
  const unknown = applied.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new SolsticeError("store_failed", `The database has a newer schema (${unknown.join(", ")}).`, {
      remedy: "Run the newer version of solstice, or use another database.",
    });
  }
  if (applied.length === 0) return "empty";
  return applied.length < known.length ? "older" : "current";
}
