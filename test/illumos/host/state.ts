import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";

const schema = `
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE datasets (
  name TEXT PRIMARY KEY, type TEXT NOT NULL, serial INTEGER NOT NULL, origin TEXT,
  volsize INTEGER, volblocksize INTEGER, reserved INTEGER NOT NULL DEFAULT 0);
CREATE TABLE properties (
  dataset TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (dataset, name));
CREATE TABLE links (
  name TEXT PRIMARY KEY, class TEXT NOT NULL, over TEXT, mac TEXT, vid INTEGER NOT NULL DEFAULT 0,
  temporary INTEGER NOT NULL);
CREATE TABLE link_properties (
  link TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, temporary INTEGER NOT NULL,
  PRIMARY KEY (link, name));
CREATE TABLE interfaces (name TEXT PRIMARY KEY, temporary INTEGER NOT NULL);
CREATE TABLE addresses (
  object TEXT PRIMARY KEY, interface TEXT NOT NULL, address TEXT NOT NULL, temporary INTEGER NOT NULL);
CREATE TABLE zones (
  name TEXT PRIMARY KEY, serial INTEGER NOT NULL, state TEXT NOT NULL, uuid TEXT NOT NULL, config TEXT NOT NULL,
  id INTEGER, pid INTEGER, started TEXT, phase TEXT);
CREATE TABLE locks (name TEXT PRIMARY KEY);
CREATE TABLE faults (
  id INTEGER PRIMARY KEY, command TEXT NOT NULL, matching TEXT NOT NULL, nth INTEGER NOT NULL,
  times INTEGER NOT NULL, seen INTEGER NOT NULL DEFAULT 0, effect TEXT NOT NULL);
`;

/** Opens an empty state, in memory: it ends with the process of the stand-in. */
export function openState(): DatabaseSync {
  const database = new DatabaseSync(":memory:");
  database.exec(schema);
  return database;
}

/** Runs `work` as one transaction: when a command dies in it, its changes are rolled back. */
export function exclusively<T>(database: DatabaseSync, work: () => T): T {
  database.exec("BEGIN");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}

/** Statements are prepared once: the stand-in runs about twenty for each command. */
const prepared = new WeakMap<DatabaseSync, Map<string, StatementSync>>();

function prepare(database: DatabaseSync, sql: string): StatementSync {
  const known = prepared.get(database) ?? new Map<string, StatementSync>();
  prepared.set(database, known);
  const statement = known.get(sql) ?? database.prepare(sql);
  known.set(sql, statement);
  return statement;
}

/** All rows of a query, with the type of its columns. */
export function rows<T>(database: DatabaseSync, sql: string, ...values: SQLInputValue[]): T[] {
  return prepare(database, sql).all(...values) as T[];
}

/** The first row of a query, or undefined. */
export function row<T>(database: DatabaseSync, sql: string, ...values: SQLInputValue[]): T | undefined {
  return prepare(database, sql).get(...values) as T | undefined;
}

/** Runs a statement that changes data; returns the number of changed rows. */
export function change(database: DatabaseSync, sql: string, ...values: SQLInputValue[]): number {
  return Number(prepare(database, sql).run(...values).changes);
}

/** A number that grows with each call: the creation order of datasets, and the ids of zones. */
export function nextSerial(database: DatabaseSync, name = "serial"): number {
  const next =
    Number(row<{ value: string }>(database, "SELECT value FROM settings WHERE name = ?", name)?.value ?? 0) +
    1;
  saveSetting(database, name, String(next));
  return next;
}

/** Reads a setting from `openStandIn` or an earlier command. */
export function setting(database: DatabaseSync, name: string): string | undefined {
  return row<{ value: string }>(database, "SELECT value FROM settings WHERE name = ?", name)?.value;
}

/** Writes a setting. */
export function saveSetting(database: DatabaseSync, name: string, value: string): void {
  change(database, "INSERT OR REPLACE INTO settings VALUES (?, ?)", name, value);
}
