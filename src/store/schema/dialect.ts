/**
 * Everything in which the two databases differ, as far as the schema is concerned. Queries are written once, in what
 * both speak; the drivers and their pragmas are in a folder of their own each.
 */
export interface SchemaDialect {
  /** A text column compared byte by byte: prefix ranges and cursors rely on that order. */
  readonly keyType: string;
  /** A column of bytes. */
  readonly bytesType: string;
  /** Makes a migration wait for another one until that has ended; null where transactions do so by themselves. */
  readonly migrationLock: string | null;
}

/** SQLite compares text byte by byte unless told otherwise. */
export const sqliteSchemaDialect: SchemaDialect = { keyType: "text", bytesType: "blob", migrationLock: null };

/** Without "C", PostgreSQL compares text as the database's language does. The lock's number is arbitrary, and ours. */
export const postgresSchemaDialect: SchemaDialect = {
  keyType: 'text collate "C"',
  bytesType: "bytea",
  migrationLock: "select pg_advisory_xact_lock(7410074107)",
};
