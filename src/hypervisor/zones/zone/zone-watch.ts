import { guestName } from "../../../core/job/job.ts";
import { type ListedZone, powerOf } from "./zone-list.ts";

/** Tells of guests that have ended: illumos has no events for that. */
export interface ZoneWatch {
  /** From now on this guest, which has power, is looked at; its listeners hear of it at once. */
  add(jobId: string): void;
  /** Looks soon, without waiting for the next round. */
  wake(): void;
  onChange(listener: (jobId: string) => void): () => void;
  close(): void;
}

/** What {@link createZoneWatch} works with. */
export interface ZoneWatchOptions {
  readonly list: () => Promise<readonly ListedZone[]>;
  /** Called for each guest that is seen to be without power, before the listeners. */
  readonly onStopped: (jobId: string) => void;
  /** Between two rounds, in ms. One round is one command, for all guests. */
  readonly pollMs: number;
}

/** The watch over the guests that may be running; while there is none, nothing is asked. */
export function createZoneWatch({ list, onStopped, pollMs }: ZoneWatchOptions): ZoneWatch {
  const watched = new Set<string>();
  const listeners = new Set<(jobId: string) => void>();
  let timer: NodeJS.Timeout | null = null;
  let looking: Promise<void> | null = null;
  let isAskedAgain = false;
  let isClosed = false;

  const report = (jobId: string) => {
    for (const listener of listeners) listener(jobId);
  };
  const look = async () => {
    // A guest that is added meanwhile is not in this list yet.
    const expected = [...watched];
    const zones = new Map((await list()).map((zone) => [zone.name, zone.state]));
    if (isClosed) return;
    for (const jobId of expected) {
      const state = zones.get(guestName(jobId));
      if (state !== undefined && powerOf(state) === "running") continue;
      watched.delete(jobId);
      onStopped(jobId);
      report(jobId);
    }
  };
  const plan = (ms: number) => {
    if (timer !== null) clearTimeout(timer);
    timer = isClosed || watched.size === 0 ? null : setTimeout(round, ms);
  };
  const round = () => {
    if (looking !== null) {
      isAskedAgain = true;
      return;
    }
    isAskedAgain = false;
    // What is wrong with the host is told by what is asked of it; here the next round may have better luck.
    looking = look()
      .catch(() => {})
      .finally(() => {
        looking = null;
        plan(isAskedAgain ? 0 : pollMs);
      });
  };
  return {
    add(jobId) {
      watched.add(jobId);
      report(jobId);
      if (timer === null && looking === null) plan(pollMs);
    },
    wake() {
      if (watched.size > 0 && !isClosed) round();
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      isClosed = true;
      if (timer !== null) clearTimeout(timer);
      watched.clear();
      listeners.clear();
    },
  };
}
