import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SolsticeError } from "../core/errors.ts";
import { hasErrorCode } from "./error-code.ts";
import { makeDirectory } from "./files/make-directory.ts";

/** A lock held by this process until {@link ProcessLock.release}, or until the process ends in any way. */
export interface ProcessLock {
  readonly path: string;
  /** Releases the lock. Idempotent. */
  release(): void;
}

/** The holder of a lock, as recorded beside the lock file. */
export interface LockHolder {
  readonly pid: number;
  /** Purpose of the lock, in the holder's words. */
  readonly what: string;
}

const sqliteBusy = 5;

/**
 * Takes the lock at `path`, or returns null when another holder has it (also in this process). The file is created when
 * missing, with its folder, and never removed: removing a lock file lets two processes hold "the same" lock.
 *
 * Node has no flock, so the lock is an exclusive transaction on an empty SQLite file: a POSIX record lock, which the
 * kernel releases when the process dies, also by `kill -9`. The transaction never writes, and the journal is kept in
 * memory, so a crash leaves nothing to recover. The process that holds the lock must not open the file by other means:
 * closing any descriptor of the file would release the lock.
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

/**
 * Like {@link tryAcquireProcessLock}, but throws `locked`, with the holder and the remedy, when another holder has the
 * lock.
 */
export function acquireProcessLock(path: string, what: string): ProcessLock {
  const lock = tryAcquireProcessLock(path, what);
  if (lock) return lock;
  const holder = readLockHolder(path);
  const who = holder ? `process ${holder.pid} (${holder.what})` : "another process";
  throw new SolsticeError("locked", `${path} is held by ${who}; ${what} cannot start.`, {
    remedy: holder
      ? `Wait until the process ends, or stop it: kill ${holder.pid}`
      : `Find the process with: fuser ${path}`,
  });
}

/**
 * Returns the holder of the lock at `path`, for messages only; null when the lock is free or the holder is not
 * recorded. The holder may have changed since the lock was tried: only {@link tryAcquireProcessLock} decides.
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
 * Makes the lock file private, because a user who can read the file can also hold the lock. Uses the path instead of a
 * second handle: closing such a handle would release a lock that this process may hold.
 */
function makePrivate(path: string): void {
  try {
    chmodSync(path, 0o600);
  } catch (error) {
    // The file belongs to another user: opening it below fails with a clear error if this user has no access.
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

/** The holder is recorded in a separate file, because the lock file cannot be read while it is locked. */
function holderPath(path: string): string {
  return `${path}.holder`;
}

function writeHolder(path: string, holder: LockHolder): void {
  try {
    writeFileSync(holderPath(path), JSON.stringify(holder), { mode: 0o644 });
  } catch {
    // The holder's file only improves messages: a full disk must not prevent the lock.
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
