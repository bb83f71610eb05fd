/**
 * All differences between the two databases that concern the schema. Queries are written once, in SQL that both accept;
 * each driver and its settings have their own folder.
 */
export interface SchemaDialect {
  /** A text column compared byte by byte: prefix ranges and cursors rely on that order. */
  readonly keyType: string;
  /** A column of bytes. */
  readonly bytesType: string;
  /** Makes a migration wait until a concurrent one has ended; null where transactions do so themselves. */
  readonly migrationLock: string | null;
}

/** SQLite compares text byte by byte by default. */
export const sqliteSchemaDialect: SchemaDialect = { keyType: "text", bytesType: "blob", migrationLock: null };

/**
 * Without "C", PostgreSQL compares text by the rules of the database's language. The lock's number is arbitrary, and
 * ours.
 */
export const postgresSchemaDialect: SchemaDialect = {
  keyType: 'text collate "C"',
  bytesType: "bytea",
  migrationLock: "select pg_advisory_xact_lock(7410074107)",
};
