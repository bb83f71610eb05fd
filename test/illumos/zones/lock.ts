import { type Context, pause } from "../host/context.ts";
import { CommandFailure } from "../host/failure.ts";
import { change } from "../host/state.ts";

/**
 * On illumos a command waits for the lock without a time limit (F_SETLKW in zonecfg_grab_lock_file of libzonecfg.c).
 */
const lockWaitMs = 600_000;
const lookEveryMs = 5;

/** The kinds of locks: the zone's lock file, an operation of zoneadmd, or a shutdown in progress. */
export type LockKind = "zoneadm" | "zoneadmd" | "shutdown";

function lockName(kind: LockKind, zone: string): string {
  return `${kind}:${zone}`;
}

/**
 * Takes a lock unless another command holds it; returns true when it was taken. A command that dies releases its
 * locks.
 */
export function tryLock({ database }: Context, kind: LockKind, zone: string): boolean {
  return change(database, "INSERT OR IGNORE INTO locks VALUES (?)", lockName(kind, zone)) === 1;
}

/** Releases a lock. */
export function unlock({ database }: Context, kind: LockKind, zone: string): void {
  change(database, "DELETE FROM locks WHERE name = ?", lockName(kind, zone));
}

/**
 * Runs `work` while this command holds the lock; first waits until another command has released it, as zoneadm does.
 */
export async function withLock<T>(
  context: Context,
  { kind, zone }: { kind: LockKind; zone: string },
  work: () => Promise<T>,
): Promise<T> {
  const deadline = Date.now() + lockWaitMs;
  while (!tryLock(context, kind, zone)) {
    if (Date.now() > deadline) {
      throw new CommandFailure(`zoneadm: zone '${zone}': another zoneadm may have an operation in progress.`);
    }
    await pause(context, lookEveryMs);
  }
  try {
    return await work();
  } finally {
    unlock(context, kind, zone);
  }
}
