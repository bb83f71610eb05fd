import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { errorText } from "../../core/errors.ts";
import type { HostRecord } from "../../core/hosts/host-facts.ts";
import {
  type HostWatch,
  lostLeases,
  noObservation,
  type ObservedLease,
  observeLeases,
} from "../../core/hosts/host-watch.ts";
import { countActiveByHost, leaveHosts, listHosts, renewLease } from "../../store/hosts/hosts.ts";
import { type Takeover, takeOver } from "../../store/hosts/takeover.ts";
import { compactLogs } from "../../store/logs/logs.ts";
import type { LeaseKeeper } from "../../store/postgres/lease-keeper.ts";
import { audit } from "../audit/audit.ts";
import type { Context } from "../context.ts";
import { startLoop } from "../loop.ts";
import { factsOfHost, urlForOthers } from "./host-facts.ts";

/** Renewals of a lease, and checks of the others, within one lease timeout. */
const renewalsPerLease = 5;

/** Missed renewals after which a separate thread renews the lease. */
const overdueRounds = 1.5;

/**
 * Maximum gap between two observations, as a part of the lease timeout; after a longer gap observation starts
 * again.
 */
const gapPerLease = 0.5;

/** Maximum transactions of one takeover in one round; the next round continues. */
const maxTakeoverParts = 100;

/** This host's lease in the shared store, and its observation of the other hosts' leases. */
export interface Lease {
  /** Publishes the URL of this host's API to the other hosts. */
  publishApiUrl(url: string): void;
  /** Renews the lease at once when this host has new facts. */
  refresh(): void;
  /** The reason why the last renewal failed; null when it succeeded. */
  problem(): string | null;
  /** Removes this host from the others' view: its last action, when it has no job. */
  leave(): Promise<void>;
  /**
   * Renews the lease a last time, for the allowed duration of the next start; false when that failed or took
   * `timeoutMs`.
   */
  handOver(timeoutMs: number): Promise<boolean>;
  stop(): Promise<void>;
}

/**
 * Registers this host, then renews its lease, and takes over the jobs of hosts that do not renew theirs. A
 * host keeps its jobs running while its database is unavailable; after the recovery no host is lost before a
 * whole lease timeout has passed.
 */
export async function startLease(context: Context): Promise<Lease> {
  const holder = new LeaseHolder(context, await openKeeper(context));
  await holder.register();
  const loop = startLoop({ name: "lease", log: context.log, run: () => holder.round() });
  const refresh = () => {
    if (holder.hasNews()) loop.wake();
  };
  const unsubscribe = [
    context.images.onChange(refresh),
    context.store.subscribe((wake) => {
      if (wake.kind === "all") refresh();
    }),
  ];
  const stop = async () => {
    for (const end of unsubscribe) end();
    await loop.stop();
    await holder.stopKeeper();
  };
  return {
    refresh,
    problem: () => holder.problem,
    stop,
    publishApiUrl(url) {
      holder.apiUrl = context.config.apiPublicUrl ?? urlForOthers(url);
      refresh();
    },
    async leave() {
      await stop();
      await holder.leave();
    },
    async handOver(timeoutMs) {
      const renewed = stop().then(() => holder.handOver());
      return await Promise.race([renewed, sleep(timeoutMs, false, { ref: false })]);
    },
  };
}

/** A host with its own database file needs no lease keeper: no other host checks its lease. */
async function openKeeper({ config, identity }: Context): Promise<LeaseKeeper | null> {
  const { databaseUrl: url, leaseTimeoutSeconds } = config;
  if (url === null) return null;
  // Loaded only when used, like the shared store.
  const { startLeaseKeeper } = await import("../../store/postgres/lease-keeper.ts");
  const overdueMs = (leaseTimeoutSeconds * 1000 * overdueRounds) / renewalsPerLease;
  return startLeaseKeeper({ url, hostId: identity.hostId, overdueMs });
}

function observedLease({
  hostId,
  renewals,
  facts: { restartGraceSeconds: grace },
}: HostRecord): ObservedLease {
  return { hostId, renewals, restartGraceMs: grace === null ? null : grace * 1000 };
}

class LeaseHolder {
  readonly #keeper: LeaseKeeper | null;
  apiUrl: string | null = null;
  readonly #context: Context;
  readonly #leaseMs: number;
  #published = "";
  #watch: HostWatch = noObservation;
  problem: string | null = null;
  /** Jobs that others took over may still have guests and machine records on this host. */
  #isAuditDue = false;
  #isAuditing = false;

  constructor(context: Context, keeper: LeaseKeeper | null) {
    this.#context = context;
    this.#keeper = keeper;
    this.#leaseMs = context.config.leaseTimeoutSeconds * 1000;
  }

  /**
   * The first renewal. The audit of the start follows in any case, so it does not matter whether the host was
   * lost before.
   */
  async register(): Promise<void> {
    await this.#renew();
  }

  async stopKeeper(): Promise<void> {
    await this.#keeper?.stop();
  }

  hasNews(): boolean {
    return JSON.stringify(this.#facts()) !== this.#published;
  }

  /**
   * Renews, observes, takes over. Errors are caught here: the backoff of loops would cost this host its lease
   * after a recovery of the database.
   */
  async round(): Promise<number> {
    try {
      const { lostAt } = await this.#renew();
      if (lostAt !== null) this.#recover(lostAt);
      if (this.#isAuditDue) this.#auditBeside();
      await this.#lookAtOthers();
      if (this.problem !== null) this.#context.log.info({ loop: "lease" }, "lease renewed again");
      this.problem = null;
    } catch (error) {
      this.#keeper?.failed();
      this.#watch = noObservation;
      if (this.problem === null)
        this.#context.log.warn(
          { err: error, loop: "lease" },
          "lease renewal failed, retrying; without a renewal other hosts take over the jobs of this host",
        );
      this.problem = errorText(error);
    }
    return this.#leaseMs / renewalsPerLease;
  }

  async leave(): Promise<void> {
    const { store, identity, log } = this.#context;
    try {
      await leaveHosts(store, { hostId: identity.hostId, at: Date.now(), facts: this.#facts() });
    } catch (error) {
      log.warn({ problem: errorText(error) }, "leaving the hosts failed: the lease of this host will expire");
    }
  }

  /** The published facts contain `RESTART_GRACE`, for which the others wait. */
  async handOver(): Promise<boolean> {
    try {
      await this.#renew();
      return true;
    } catch (error) {
      this.#context.log.warn({ err: error, loop: "lease" }, "last lease renewal before the restart failed");
      return false;
    }
  }

  #facts() {
    return factsOfHost(this.#context, this.apiUrl);
  }

  async #renew(): Promise<{ lostAt: number | null }> {
    const { store, identity } = this.#context;
    const facts = this.#facts();
    const renewed = await renewLease(store, { hostId: identity.hostId, at: Date.now(), facts });
    this.#keeper?.renewed();
    this.#reportHeldLoop();
    this.#published = JSON.stringify(facts);
    return renewed;
  }

  #reportHeldLoop(): void {
    const renewals = this.#keeper?.takeCount() ?? 0;
    if (renewals === 0) return;
    const what = "event loop was blocked; a separate thread renewed the lease";
    this.#context.log.warn({ loop: "lease", renewals }, what);
  }

  /**
   * Other hosts have taken over this host's jobs: wakes the drivers, which release them, and schedules the
   * removal of their remains.
   */
  #recover(lostAt: number): void {
    const { log, store } = this.#context;
    log.warn({ lostAt }, "lease lost: other hosts took over the jobs of this host; removing their guests");
    store.wake({ kind: "all" });
    this.#isAuditDue = true;
  }

  /**
   * Runs outside the loop, because an audit may take longer than the lease timeout. A failed audit is
   * retried.
   */
  #auditBeside(): void {
    if (this.#isAuditing) return;
    this.#isAuditing = true;
    this.#isAuditDue = false;
    audit(this.#context, { fix: true })
      .catch((error: unknown) => {
        this.#isAuditDue = true;
        this.#context.log.warn({ problem: errorText(error) }, "audit after the lost lease failed, retrying");
      })
      .finally(() => {
        this.#isAuditing = false;
      });
  }

  async #lookAtOthers(): Promise<void> {
    const { store, identity } = this.#context;
    const others = (await listHosts(store)).filter((host) => host.hostId !== identity.hostId);
    const time = { now: performance.now(), maxGapMs: this.#leaseMs * gapPerLease };
    this.#watch = observeLeases(this.#watch, others.map(observedLease), time);
    const lost = lostLeases(this.#watch, this.#leaseMs);
    if (lost.length === 0) return;
    const active = await countActiveByHost(store);
    for (const { hostId, renewals } of lost) {
      const host = others.find((other) => other.hostId === hostId);
      // A claim that was in flight when its host was declared lost is found here later.
      const isDue = host?.lostAt === null || active.has(hostId);
      if (host && isDue) await this.#takeOver(host, renewals);
    }
  }

  async #takeOver(host: HostRecord, renewals: number): Promise<void> {
    const { store, log } = this.#context;
    const { hostId } = host;
    const facts = { lostHost: hostId, lostHostname: host.facts.hostname };
    if (host.lostAt === null) log.warn(facts, "lease of another host expired");
    for (let part = 0; part < maxTakeoverParts; part += 1) {
      const taken = await takeOver(store, { hostId, renewals, at: Date.now() });
      if (taken === null) return;
      for (const job of taken.jobs) {
        const reason = job.verdict?.reason;
        log.warn({ ...facts, jobId: job.id, attempt: job.attempt, to: job.state, reason }, "took over a job");
      }
      await this.#compactLogs(taken);
      if (!taken.more) return;
    }
  }

  /** Compacts logs as the lost host would have done at the release of its guest. Nothing depends on it. */
  async #compactLogs({ jobs }: Takeover): Promise<void> {
    for (const { id: jobId, attempt } of jobs) {
      await compactLogs(this.#context.store, { jobId, attempt });
    }
  }
}
