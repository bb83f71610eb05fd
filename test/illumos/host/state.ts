import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";

/** How long a command waits for another one's transaction; on illumos the kernel makes it wait. */
const lockWaitMs = 30_000;

const schema = `
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS datasets (
  name TEXT PRIMARY KEY, type TEXT NOT NULL, serial INTEGER NOT NULL, origin TEXT,
  volsize INTEGER, volblocksize INTEGER, reserved INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS properties (
  dataset TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (dataset, name));
CREATE TABLE IF NOT EXISTS links (
  name TEXT PRIMARY KEY, class TEXT NOT NULL, over TEXT, mac TEXT, vid INTEGER NOT NULL DEFAULT 0,
  temporary INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS link_properties (
  link TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, temporary INTEGER NOT NULL,
  PRIMARY KEY (link, name));
CREATE TABLE IF NOT EXISTS interfaces (name TEXT PRIMARY KEY, temporary INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS addresses (
  object TEXT PRIMARY KEY, interface TEXT NOT NULL, address TEXT NOT NULL, temporary INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS zones (
  name TEXT PRIMARY KEY, serial INTEGER NOT NULL, state TEXT NOT NULL, uuid TEXT NOT NULL, config TEXT NOT NULL,
  id INTEGER, pid INTEGER, started TEXT, phase TEXT);
CREATE TABLE IF NOT EXISTS locks (name TEXT PRIMARY KEY, pid INTEGER NOT NULL, started TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS faults (
  id INTEGER PRIMARY KEY, command TEXT NOT NULL, matching TEXT NOT NULL, nth INTEGER NOT NULL,
  times INTEGER NOT NULL, seen INTEGER NOT NULL DEFAULT 0, effect TEXT NOT NULL);
`;

/** Opens the state below the stand-in's directory; `create` makes it first. */
export function openState(directory: string, { create = false } = {}): DatabaseSync {
  const database = new DatabaseSync(join(directory, "state.sqlite"));
  database.exec(`PRAGMA busy_timeout = ${lockWaitMs}`);
  if (create) database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; ${schema}`);
  return database;
}

/** Runs `work` as one transaction that holds the write lock from its start: what it reads stays true while it acts. */
export function exclusively<T>(database: DatabaseSync, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}

/** All rows of a query, as the type that its columns have. */
export function rows<T>(database: DatabaseSync, sql: string, ...values: SQLInputValue[]): T[] {
  return database.prepare(sql).all(...values) as T[];
}

/** The first row of a query, if there is one. */
export function row<T>(database: DatabaseSync, sql: string, ...values: SQLInputValue[]): T | undefined {
  return database.prepare(sql).get(...values) as T | undefined;
}

/** Runs a statement that changes something; how many rows it changed. */
export function change(database: DatabaseSync, sql: string, ...values: SQLInputValue[]): number {
  return Number(database.prepare(sql).run(...values).changes);
}

/** A number that grows with each call: creation order of datasets, zones' ids. */
export function nextSerial(database: DatabaseSync, name = "serial"): number {
  const next =
    Number(row<{ value: string }>(database, "SELECT value FROM settings WHERE name = ?", name)?.value ?? 0) +
    1;
  saveSetting(database, name, String(next));
  return next;
}

/** Reads a setting that `openStandIn` or an earlier command left. */
export function setting(database: DatabaseSync, name: string): string | undefined {
  return row<{ value: string }>(database, "SELECT value FROM settings WHERE name = ?", name)?.value;
}

/** Writes a setting. */
export function saveSetting(database: DatabaseSync, name: string, value: string): void {
  change(database, "INSERT OR REPLACE INTO settings VALUES (?, ?)", name, value);
}
