import type { Backend, GuestSize } from "../job/job.ts";
import type { Unfit } from "./backend-fit.ts";

/**
 * Facts that a host reports about itself each time it renews its lease: enough for the other hosts to resolve a label
 * for it, and to explain why a job waits for it. Stored as JSON; times are ms since the epoch.
 */
export interface HostFacts {
  readonly hostname: string;
  readonly version: string;
  readonly startedAt: number;
  readonly backend: Backend;
  /** True when it claims no more jobs: its process stops or restarts, or an operator drains it. */
  readonly draining: boolean;
  /** Start of an operator's drain, in ms since the epoch; null when no operator drains it. */
  readonly drainRequestedAt: number | null;
  /** Seconds for which the other hosts leave its jobs alone while it restarts; null when it is not restarting. */
  readonly restartGraceSeconds: number | null;
  readonly maxConcurrency: number;
  /** Number of guests that may be on hold in addition to `maxConcurrency`. */
  readonly maxHolds: number;
  /** Caps by label or image, as in CAPACITY_MAP. */
  readonly labelCaps: Readonly<Record<string, number>>;
  readonly defaultLabel: string;
  /** Every name that `runs_on` may have there, and the image that it resolves to. */
  readonly labels: Readonly<Record<string, string>>;
  /** Named sizes; `diskGb` null: the image's default. */
  readonly sizes: Readonly<Record<string, { cpu: number; ramMb: number; diskGb: number | null }>>;
  /** The images of its map that it runs: a guest's default size, and whether the image is ready for use. */
  readonly images: Readonly<Record<string, { defaults: GuestSize; ready: boolean }>>;
  /** The other images of its map, and the reason why it does not run them. */
  readonly unfit: Readonly<Record<string, Unfit & { defaults: GuestSize }>>;
  /** Reason why it starts no jobs for now, such as a disk that is nearly full; null when nothing is wrong. */
  readonly paused: string | null;
  /** URL of its API for other hosts; shown to people. */
  readonly apiUrl: string | null;
}

/** A host as the store records it. */
export interface HostRecord {
  readonly hostId: string;
  /** Grows with each renewal. A host whose number stops growing is gone, whatever the clocks say. */
  readonly renewals: number;
  readonly renewedAt: number;
  readonly registeredAt: number;
  /** When another host declared it lost; null while it holds its lease. */
  readonly lostAt: number | null;
  readonly facts: HostFacts;
}

/**
 * A host's entry for an image of its map that it does not run; undefined when it runs the image, or the map does not
 * have it.
 */
export function unfitThere(
  { facts }: Pick<HostRecord, "facts">,
  image: string,
): HostFacts["unfit"][string] | undefined {
  return Object.hasOwn(facts.unfit, image) ? facts.unfit[image] : undefined;
}
