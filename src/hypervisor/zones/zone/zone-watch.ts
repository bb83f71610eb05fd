import { guestName } from "../../../core/job/job.ts";
import { type ListedZone, powerOf } from "./zone-list.ts";

/** Reports guests that have ended, by polling: illumos has no events for that. */
export interface ZoneWatch {
  /** Adds a powered guest to the polled ones, and reports it to the listeners at once. */
  add(jobId: string): void;
  /** Polls soon, without waiting for the next round. */
  wake(): void;
  onChange(listener: (jobId: string) => void): () => void;
  close(): void;
}

/** Options of {@link createZoneWatch}. */
export interface ZoneWatchOptions {
  readonly list: () => Promise<readonly ListedZone[]>;
  /** Called for each guest that is found without power, before the listeners. */
  readonly onStopped: (jobId: string) => void;
  /** Pause between two polls, in ms. One poll is one command, for all guests. */
  readonly pollMs: number;
}

/** Creates the watch over the guests that may be running; without any, the host is not polled. */
export function createZoneWatch({ list, onStopped, pollMs }: ZoneWatchOptions): ZoneWatch {
  const watched = new Set<string>();
  const listeners = new Set<(jobId: string) => void>();
  let timer: NodeJS.Timeout | null = null;
  let polling: Promise<void> | null = null;
  let mustPollAgain = false;
  let isClosed = false;

  const report = (jobId: string) => {
    for (const listener of listeners) listener(jobId);
  };
  const poll = async () => {
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
    if (polling !== null) {
      mustPollAgain = true;
      return;
    }
    mustPollAgain = false;
    // Errors are reported by other calls to the host; the next poll may succeed.
    polling = poll()
      .catch(() => {})
      .finally(() => {
        polling = null;
        plan(mustPollAgain ? 0 : pollMs);
      });
  };
  return {
    add(jobId) {
      watched.add(jobId);
      report(jobId);
      if (timer === null && polling === null) plan(pollMs);
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
