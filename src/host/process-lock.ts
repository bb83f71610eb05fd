import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SolsticeError } from "../core/errors.ts";
import { hasErrorCode } from "./error-code.ts";
import { makeDirectory } from "./files/make-directory.ts";

/** A lock held by this process until {@link ProcessLock.release}, or until the process ends in any way. */
export interface ProcessLock {
  readonly path: string;
  /** Gives the lock back. Said twice it does nothing. */
  release(): void;
}

/** Who holds a lock, as far as it can be told. */
export interface LockHolder {
  readonly pid: number;
  /** What it holds the lock for, in its own words. */
  readonly what: string;
}

const sqliteBusy = 5;

/**
 * Takes the lock at `path`, or returns null when another holds it (this process included). The file is created when
 * missing, with its folder, and never removed: removing a lock file lets two processes hold "the same" lock.
 *
 * Node has no flock, so this is an exclusive transaction on an empty SQLite file, that is, a POSIX record lock, which
 * the kernel releases when the process dies, by `kill -9` too. Nothing is ever written in the transaction, and the
 * journal is kept in memory, so that there is nothing to recover. The file must not be opened by other means in the
 * process that holds the lock: closing any descriptor of it would release the lock.
 */
export function tryAcquireProcessLock(path: string, what: string): ProcessLock | null {
  const database = beginExclusive(path);
  if (!database) return null;
  writeHolder(path, { pid: process.pid, what });
  let held = true;
  return {
    path,
    release() {
      if (!held) return;
      held = false;
      rmSync(holderPath(path), { force: true });
      database.close();
    },
  };
}

/** As {@link tryAcquireProcessLock}, but throws `locked`, naming the holder and what to do, when another holds it. */
export function acquireProcessLock(path: string, what: string): ProcessLock {
  const lock = tryAcquireProcessLock(path, what);
  if (lock) return lock;
  const holder = readLockHolder(path);
  const who = holder ? `process ${holder.pid} (${holder.what})` : "another process";
  throw new SolsticeError("locked", `${path} is held by ${who}, so that ${what} cannot begin.`, {
    remedy: holder ? `Wait for it, or stop it: kill ${holder.pid}` : `Find it with: fuser ${path}`,
  });
}

/**
 * Who holds the lock at `path`, for messages only; null when nobody does or it cannot be told. The holder may just have
 * changed: only {@link tryAcquireProcessLock} decides.
 */
export function readLockHolder(path: string): LockHolder | null {
  try {
    const { pid, what } = JSON.parse(readFileSync(holderPath(path), "utf8"));
    return Number.isSafeInteger(pid) && isAlive(pid) ? { pid, what: String(what) } : null;
  } catch {
    return null;
  }
}

function beginExclusive(path: string): DatabaseSync | null {
  const database = openLockFile(path);
  try {
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database.close();
    if (isBusy(error)) return null;
    throw lockFailed(path, error);
  }
}

function openLockFile(path: string): DatabaseSync {
  try {
    makeDirectory(dirname(path), 0o755);
    const database = new DatabaseSync(path, { timeout: 0 });
    makePrivate(path);
    return database;
  } catch (error) {
    throw lockFailed(path, error);
  }
}

/**
 * Whoever can read a lock's file can hold it, too. By its name: closing a second handle of the file would give the lock back
 * that this process may hold.
 */
function makePrivate(path: string): void {
  try {
    chmodSync(path, 0o600);
  } catch (error) {
    // Of another user, who then is asked for it below.
    if (!hasErrorCode(error, "EPERM")) throw error;
  }
}

function lockFailed(path: string, cause: unknown): SolsticeError {
  return new SolsticeError("store_failed", `The lock file ${path} cannot be used.`, {
    remedy: `Check that its folder exists and that this user may write to it: ls -ld ${dirname(path)}`,
    cause,
  });
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === sqliteBusy;
}

/** The holder is told in a file of its own, because the lock file cannot be read while it is locked. */
function holderPath(path: string): string {
  return `${path}.holder`;
}

function writeHolder(path: string, holder: LockHolder): void {
  try {
    writeFileSync(holderPath(path), JSON.stringify(holder), { mode: 0o644 });
  } catch {
    // It only makes messages better: a full disk must not stop the lock.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
