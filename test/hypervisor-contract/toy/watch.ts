import type { GuestPower } from "../../../src/hypervisor/hypervisor.ts";

const LOOK_MS = 250;

/** Who wants to hear of guests that may have changed. */
export interface Watch {
  subscribe(listener: (jobId: string | null) => void): () => void;
  /** Looks now, and not only at the next turn. */
  wake(): void;
  close(): void;
}

// recipe: wake-ups
/** Looks again and again, while somebody listens, and tells what changed. The first look tells of every guest. */
export function createWatch(look: () => Promise<ReadonlyMap<string, GuestPower>>): Watch {
  const listeners = new Set<(jobId: string | null) => void>();
  let seen: ReadonlyMap<string, GuestPower> = new Map();
  let timer: NodeJS.Timeout | undefined;
  const turn = async () => {
    const now = await look().catch(() => seen);
    const changed = [...new Set([...seen.keys(), ...now.keys()])].filter(
      (id) => seen.get(id) !== now.get(id),
    );
    seen = now;
    for (const jobId of changed) for (const listener of listeners) listener(jobId);
    schedule(LOOK_MS);
  };
  const schedule = (ms: number) => {
    clearTimeout(timer);
    // It holds no process that has nothing else to do.
    if (listeners.size > 0) timer = setTimeout(turn, ms).unref();
  };
  return {
    subscribe(listener) {
      listeners.add(listener);
      schedule(0);
      return () => listeners.delete(listener);
    },
    wake: () => schedule(0),
    close: () => listeners.clear(),
  };
}
// recipe: end
