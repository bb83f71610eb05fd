/** A host's lease as an observer finds it in the store. */
export interface SeenLease {
  readonly hostId: string;
  /** Grows with each renewal. */
  readonly renewals: number;
  /** How long this lease lasts beyond the usual, in ms, since its host restarts; null where it does not. */
  readonly restartGraceMs: number | null;
}

/** The longest that a restarting host's jobs are left alone, whatever its lease says, in ms. */
export const restartGraceMaxMs = 60 * 60_000;

/**
 * What one observer knows of the other hosts' leases. It trusts no other host's clock: only that a number which the host
 * alone makes grow did not, for a whole lease of the observer's own, monotonic time. Times are in ms.
 */
export interface HostWatch {
  /** When the last successful look was; null before the first one, and after a failed one. */
  readonly lookedAt: number | null;
  /** For each host the last lease that was seen, and since when it is known to stand still. */
  readonly seen: ReadonlyMap<string, StandingLease>;
}

interface StandingLease {
  readonly lease: SeenLease;
  readonly since: number;
}

/**
 * An observer that has seen nothing. Also what a failed look makes of every observer: while the database was away nobody
 * could renew, so each host gets a whole lease again from the first look after it.
 */
export const nothingSeen: HostWatch = { lookedAt: null, seen: new Map() };

/**
 * The watch after a successful look at all leases. A look that comes more than `maxGapMs` after the one before counts as
 * the first: who was not looking (a process that was stopped) cannot say that the time was one a host could renew in.
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
 * The leases that stood still for `leaseMs` or longer when the watch last looked: their hosts are lost. Where a host asked for
 * time to restart, that longer time counts.
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
