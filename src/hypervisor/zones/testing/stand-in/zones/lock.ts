import type { Context } from "../host/context.ts";
import { CommandFailure } from "../host/failure.ts";
import { identify, isAlive } from "../host/processes.ts";
import { change, exclusively, row } from "../host/state.ts";

/** Whether a living process holds the zone's lock, as one does on illumos with a lock on a file of the zone. */
export function isLocked({ database }: Context, zone: string): boolean {
  const holder = row<{ pid: number; started: string }>(database, "SELECT * FROM locks WHERE name = ?", zone);
  return holder !== undefined && holder.pid !== process.pid && isAlive(holder);
}

/** Runs `work` while this process holds the zone's lock; fails as zoneadm does when another one has it. */
export async function withZoneLock<T>(context: Context, zone: string, work: () => Promise<T>): Promise<T> {
  const self = identify(process.pid);
  if (!self) throw new Error("this process is not in /proc");
  exclusively(context.database, () => {
    if (isLocked(context, zone)) {
      throw new CommandFailure(`zoneadm: zone '${zone}': another zoneadm may have an operation in progress.`);
    }
    change(context.database, "INSERT OR REPLACE INTO locks VALUES (?, ?, ?)", zone, self.pid, self.started);
  });
  try {
    return await work();
  } finally {
    change(context.database, "DELETE FROM locks WHERE name = ? AND pid = ?", zone, self.pid);
  }
}
