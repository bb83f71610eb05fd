import type { SchemaDialect } from "./dialect.ts";
import { createInitialSchema } from "./initial-schema.ts";

/** One step of the schema. Its name is recorded in `schema_migrations`, and it is never edited once released. */
export interface Migration {
  readonly name: string;
  statements(dialect: SchemaDialect): string[];
}

/** Every migration, in the order they are applied. Add at the end, then run the schema test to renew `schema.sql`. */
export const migrations: readonly Migration[] = [
  { name: "0001_initial_schema", statements: createInitialSchema },
];
