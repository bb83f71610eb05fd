/**
 * Everything in which the two databases differ, as far as the schema is concerned. Queries are written once, in what
 * both speak; the drivers and their pragmas are in a folder of their own each.
 */
export interface SchemaDialect {
  /** A text column compared byte by byte: prefix ranges and cursors rely on that order. */
  readonly keyType: string;
  /** A column of bytes. */
  readonly bytesType: string;
}

/** SQLite compares text byte by byte unless told otherwise. */
export const sqliteSchemaDialect: SchemaDialect = { keyType: "text", bytesType: "blob" };
