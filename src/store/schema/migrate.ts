import { type Kysely, sql, type Transaction } from "kysely";
import { SolsticeError } from "../../core/errors.ts";
import type { SchemaDialect } from "./dialect.ts";
import { type Migration, migrations } from "./migrations.ts";

/** Every database of a version before the first release has applied this migration; no release has it. */
const unreleasedMigration = "0001_jobs";

/**
 * Brings the schema up to date, all or nothing. Two processes may start at once: the transactions exclude each other
 * from their first statement on, so the second one has nothing left to do. Throws like {@link schemaState}.
 */
export async function migrate<Tables>(
  db: Kysely<Tables>,
  dialect: SchemaDialect,
  known: readonly Migration[] = migrations,
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    if (dialect.migrationLock !== null) await sql.raw(dialect.migrationLock).execute(trx);
    await sql`create table if not exists schema_migrations (
  name text primary key
)`.execute(trx);
    const { rows } = await sql<{ name: string }>`select name from schema_migrations`.execute(trx);
    const applied = new Set(rows.map((row) => row.name));
    refuseForeignSchema([...applied], known);
    for (const migration of known) {
      if (!applied.has(migration.name)) await apply(trx, migration, dialect);
    }
  });
}

async function apply<Tables>(trx: Transaction<Tables>, migration: Migration, dialect: SchemaDialect) {
  for (const statement of migration.statements(dialect)) await sql.raw(statement).execute(trx);
  await sql`insert into schema_migrations (name) values (${migration.name})`.execute(trx);
}

/**
 * The state of a database that has applied these migrations. Throws `store_failed` when it was written by a newer
 * version, or by one before the first release.
 */
export function schemaState(
  applied: readonly string[],
  known: readonly Migration[] = migrations,
): "empty" | "older" | "current" {
  refuseForeignSchema(applied, known);
  if (applied.length === 0) return "empty";
  return applied.length < known.length ? "older" : "current";
}

function refuseForeignSchema(applied: readonly string[], known: readonly Migration[]): void {
  if (applied.includes(unreleasedMigration)) {
    const text = `The database was made by a version before the first release (${applied.toSorted().join(", ")}).`;
    throw new SolsticeError("store_failed", text, {
      remedy:
        "Let its jobs end with that version. Then move the database away (state/solstice.db in the data directory), or set " +
        "DATABASE_URL to an empty one.",
    });
  }
  const unknown = applied.filter((name) => !known.some((migration) => migration.name === name));
  if (unknown.length === 0) return;
  throw new SolsticeError("store_failed", `The database has a newer schema (${unknown.join(", ")}).`, {
    remedy: "Run the newer version of solstice, or use another database.",
  });
}
