import type { Context } from "../host/context.ts";
import { CommandFailure } from "../host/failure.ts";
import { identify, isAlive } from "../host/processes.ts";
import { change, exclusively, row } from "../host/state.ts";

/** On illumos a command waits for the lock for ever (F_SETLKW in zonecfg_grab_lock_file of libzonecfg.c). */
const lockWaitMs = 600_000;
const lookEveryMs = 20;

/** What may be held: the zone's lock file, zoneadmd's attention, or a shutdown that is being waited for. */
export type LockKind = "zoneadm" | "zoneadmd" | "shutdown";

function lockName(kind: LockKind, zone: string): string {
  return `${kind}:${zone}`;
}

/** Takes a lock unless a living process holds it; whether it was taken. A dead holder's lock is free, as a file's is. */
export function tryLock({ database }: Context, kind: LockKind, zone: string): boolean {
  const self = identify(process.pid);
  if (!self) throw new Error("this process is not in /proc");
  const name = lockName(kind, zone);
  return exclusively(database, () => {
    const holder = row<{ pid: number; started: string }>(
      database,
      "SELECT * FROM locks WHERE name = ?",
      name,
    );
    if (holder && isAlive(holder)) return false;
    change(database, "INSERT OR REPLACE INTO locks VALUES (?, ?, ?)", name, self.pid, self.started);
    return true;
  });
}

/** Gives a lock back. */
export function unlock({ database }: Context, kind: LockKind, zone: string): void {
  change(database, "DELETE FROM locks WHERE name = ? AND pid = ?", lockName(kind, zone), process.pid);
}

/** Runs `work` while this process holds the lock, and waits for another one to give it back, as zoneadm does. */
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
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
  try {
    return await work();
  } finally {
    unlock(context, kind, zone);
  }
}
