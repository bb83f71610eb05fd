import type { Backend, GuestSize } from "../job/job.ts";
import type { Unfit } from "./backend-fit.ts";

/**
 * What a host tells the others about itself, each time it renews its lease: enough to resolve a label for it, and to
 * explain why a job waits for it. Kept as JSON in the store; times are ms since the epoch.
 */
export interface HostFacts {
  readonly hostname: string;
  readonly version: string;
  readonly startedAt: number;
  readonly backend: Backend;
  /** It claims nothing any more: it was told to stop or to restart, or an operator drains it. */
  readonly draining: boolean;
  /** Since when an operator drains it, in ms since the epoch; null where none does. */
  readonly drainRequestedAt: number | null;
  /** How long it asked the others to leave its jobs alone while it restarts, in seconds; null where it does not restart. */
  readonly restartGraceSeconds: number | null;
  readonly maxConcurrency: number;
  /** How many guests may be on hold beside that. */
  readonly maxHolds: number;
  /** Caps by label or image, as in CAPACITY_MAP. */
  readonly labelCaps: Readonly<Record<string, number>>;
  readonly defaultLabel: string;
  /** Every name that `runs_on` may have there, and the image it leads to. */
  readonly labels: Readonly<Record<string, string>>;
  /** Named sizes; `diskGb` null: the image's. */
  readonly sizes: Readonly<Record<string, { cpu: number; ramMb: number; diskGb: number | null }>>;
  /** The images of its map that it runs: what a guest gets by default, and whether it can be used now. */
  readonly images: Readonly<Record<string, { defaults: GuestSize; ready: boolean }>>;
  /** The other images of its map, and why it does not run them. */
  readonly unfit: Readonly<Record<string, Unfit & { defaults: GuestSize }>>;
  /** Why it starts nothing although it could, such as a disk that is nearly full; null when nothing is wrong. */
  readonly paused: string | null;
  /** Its API as other hosts may reach it, for people. */
  readonly apiUrl: string | null;
}

/** A host as the store knows it. */
export interface HostRecord {
  readonly hostId: string;
  /** Grows with each renewal: a host whose number stands still is gone, whatever the clocks say. */
  readonly renewals: number;
  readonly renewedAt: number;
  readonly registeredAt: number;
  /** When another host declared it lost; null while it holds its lease. */
  readonly lostAt: number | null;
  readonly facts: HostFacts;
}

/** What a host's map says of an image that it does not run; undefined where it runs it, or does not know it. */
export function unfitThere(
  { facts }: Pick<HostRecord, "facts">,
  image: string,
): HostFacts["unfit"][string] | undefined {
  return Object.hasOwn(facts.unfit, image) ? facts.unfit[image] : undefined;
}
