/** A host's lease as an observer reads it from the store. */
export interface SeenLease {
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
 * One observer's record of the other hosts' leases. The observer trusts no other host's clock: a host is lost when the
 * number that only this host increases stands still for a whole lease of the observer's own, monotonic time. Times are
 * in ms.
 */
export interface HostWatch {
  /** Time of the last successful observation; null before the first one, and after a failed one. */
  readonly lookedAt: number | null;
  /** For each host, its last observed lease, and since when the renewal number stands still. */
  readonly seen: ReadonlyMap<string, StandingLease>;
}

interface StandingLease {
  readonly lease: SeenLease;
  readonly since: number;
}

/**
 * A watch without any observation: the state at the start, and after each failed observation. No host could renew while
 * the database was unavailable, so each host gets a whole lease again from the next successful observation.
 */
export const nothingSeen: HostWatch = { lookedAt: null, seen: new Map() };

/**
 * The watch after a successful observation of all leases. An observation more than `maxGapMs` after the last one counts
 * as the first: if the observer's process was stopped meanwhile, the hosts may have been unable to renew in that time,
 * too.
 */
export function look(
  watch: HostWatch,
  leases: readonly SeenLease[],
  time: { readonly now: number; readonly maxGapMs: number },
): HostWatch {
  const isUninterrupted = watch.lookedAt !== null && time.now - watch.lookedAt <= time.maxGapMs;
  const before = isUninterrupted ? watch.seen : nothingSeen.seen;
  const seen = new Map<string, StandingLease>();
  for (const lease of leases) {
    const known = before.get(lease.hostId);
    seen.set(lease.hostId, known?.lease.renewals === lease.renewals ? known : { lease, since: time.now });
  }
  return { lookedAt: time.now, seen };
}

/**
 * The leases that had stood still for `leaseMs` or longer at the last observation: their hosts are lost. For a
 * restarting host, its restart grace counts where that is longer.
 */
export function lostLeases(watch: HostWatch, leaseMs: number): SeenLease[] {
  const { lookedAt } = watch;
  if (lookedAt === null) return [];
  return [...watch.seen.values()]
    .filter(({ lease, since }) => lookedAt - since >= Math.max(leaseMs, graceMs(lease)))
    .map(({ lease }) => lease);
}

function graceMs({ restartGraceMs }: SeenLease): number {
  return Math.min(restartGraceMs ?? 0, restartGraceMaxMs);
}
