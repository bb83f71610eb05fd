/** A host's lease as an observer reads it from the store. */
export interface ObservedLease {
  readonly hostId: string;
  /** Grows with each renewal. */
  readonly renewals: number;
  /**
   * Duration of this lease in ms while its host restarts, if longer than the usual one; null when it is not restarting.
   */
  readonly restartGraceMs: number | null;
}

/** Longest time that a restarting host's jobs are left alone, whatever its lease says, in ms. */
export const restartGraceMaxMs = 60 * 60_000;

/**
 * One observer's record of the other hosts' leases. The observer trusts no other host's clock: a host is lost when its
 * renewal number, which only that host increases, has not changed for a whole lease, measured with the observer's monotonic
 * clock. Times are in ms.
 */
export interface HostWatch {
  /** Time of the last successful observation; null before the first one, and after a failed one. */
  readonly observedAt: number | null;
  /** For each host, its last observed lease, and since when the renewal number stands still. */
  readonly observed: ReadonlyMap<string, StandingLease>;
}

interface StandingLease {
  readonly lease: ObservedLease;
  readonly since: number;
}

/**
 * A watch without any observation: the state at the start, and after each failed observation. No host could renew while
 * the database was unavailable, so each host gets a whole lease again from the next successful observation.
 */
export const noObservation: HostWatch = { observedAt: null, observed: new Map() };

/**
 * The watch after a successful observation of all leases. An observation more than `maxGapMs` after the last one counts
 * as the first: if the observer's process was stopped meanwhile, the hosts may have been unable to renew in that time,
 * too.
 */
export function observeLeases(
  watch: HostWatch,
  leases: readonly ObservedLease[],
  time: { readonly now: number; readonly maxGapMs: number },
): HostWatch {
  const isUninterrupted = watch.observedAt !== null && time.now - watch.observedAt <= time.maxGapMs;
  const before = isUninterrupted ? watch.observed : noObservation.observed;
  const observed = new Map<string, StandingLease>();
  for (const lease of leases) {
    const earlier = before.get(lease.hostId);
    observed.set(
      lease.hostId,
      earlier?.lease.renewals === lease.renewals ? earlier : { lease, since: time.now },
    );
  }
  return { observedAt: time.now, observed };
}

/**
 * The leases that had stood still for `leaseMs` or longer at the last observation: their hosts are lost. For a
 * restarting host, its restart grace counts where that is longer.
 */
export function lostLeases(watch: HostWatch, leaseMs: number): ObservedLease[] {
  const { observedAt } = watch;
  if (observedAt === null) return [];
  return [...watch.observed.values()]
    .filter(({ lease, since }) => observedAt - since >= Math.max(leaseMs, graceMs(lease)))
    .map(({ lease }) => lease);
}

function graceMs({ restartGraceMs }: ObservedLease): number {
  return Math.min(restartGraceMs ?? 0, restartGraceMaxMs);
}
