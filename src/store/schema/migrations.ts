import type { SchemaDialect } from "./dialect.ts";
import { createInitialSchema } from "./initial-schema.ts";

/** One step of the schema. Its name is recorded in `schema_migrations`; after a release a migration is never edited. */
export interface Migration {
  readonly name: string;
  statements(dialect: SchemaDialect): string[];
}

/**
 * Every migration, in the order of application. Add new ones at the end, then run the schema test to renew
 * `schema.sql`.
 */
export const migrations: readonly Migration[] = [
  { name: "0001_initial_schema", statements: createInitialSchema },
];
