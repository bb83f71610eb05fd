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

/** How often a lease is renewed, and the others are looked at, within one lease. */
const renewalsPerLease = 5;

/** After how many missed renewals a thread of its own renews. */
const overdueRounds = 1.5;

/** The part of a lease that may pass between two looks without beginning to observe again. */
const gapPerLease = 0.5;

/** Transactions of one takeover in one round; the next round goes on. */
const maxTakeoverParts = 100;

/** This host's lease in the store it may share with others, and its eye on theirs. */
export interface Lease {
  /** Tells the others where this host's API is. */
  publishApiUrl(url: string): void;
  /** Renews at once when this host has something new to tell. */
  refresh(): void;
  /** Why it was not renewed the last time, in words; null when it was. */
  problem(): string | null;
  /** Says farewell: the last thing a host does, once it holds no job. */
  leave(): Promise<void>;
  /** Renews the lease a last time, for as long as the next start may take; false where that failed or took `timeoutMs`. */
  handOver(timeoutMs: number): Promise<boolean>;
  stop(): Promise<void>;
}

/**
 * Registers this host, then keeps its lease, and takes over the jobs of hosts that do not keep theirs. A host whose
 * database is away keeps its jobs running, and when it is back, nobody is lost before a whole lease has passed.
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

/** A file of this host's own needs none: no other host looks at it. */
async function openKeeper({ config, identity }: Context): Promise<LeaseKeeper | null> {
  const { databaseUrl: url, leaseTimeoutSeconds } = config;
  if (url === null) return null;
  // Loaded only where it is used, as the shared store is.
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
  #told = "";
  #watch: HostWatch = noObservation;
  problem: string | null = null;
  /** What others took over may still have guests here, and machines on record. */
  #isAuditDue = false;
  #isAuditing = false;

  constructor(context: Context, keeper: LeaseKeeper | null) {
    this.#context = context;
    this.#keeper = keeper;
    this.#leaseMs = context.config.leaseTimeoutSeconds * 1000;
  }

  /** What a start finds is dealt with by the audit that follows: whether the host was lost before makes no difference. */
  async register(): Promise<void> {
    await this.#renew();
  }

  async stopKeeper(): Promise<void> {
    await this.#keeper?.stop();
  }

  hasNews(): boolean {
    return JSON.stringify(this.#facts()) !== this.#told;
  }

  /**
   * Renews, looks, takes over. Errors end here: the pauses that loops make after failures would cost this host its lease
   * when the database is back.
   */
  async round(): Promise<number> {
    try {
      const { lostAt } = await this.#renew();
      if (lostAt !== null) this.#recover(lostAt);
      if (this.#isAuditDue) this.#auditBeside();
      await this.#lookAtOthers();
      if (this.problem !== null) this.#context.log.info({ loop: "lease" }, "the lease is renewed again");
      this.problem = null;
    } catch (error) {
      this.#keeper?.failed();
      this.#watch = noObservation;
      if (this.problem === null)
        this.#context.log.warn({ err: error, loop: "lease" }, "the lease was not renewed");
      this.problem = errorText(error);
    }
    return this.#leaseMs / renewalsPerLease;
  }

  async leave(): Promise<void> {
    const { store, identity, log } = this.#context;
    try {
      await leaveHosts(store, { hostId: identity.hostId, at: Date.now(), facts: this.#facts() });
    } catch (error) {
      log.warn(
        { problem: errorText(error) },
        "the others were not told that this host stops; its lease runs out",
      );
    }
  }

  /** The facts say how long the others are to wait: `RESTART_GRACE`. */
  async handOver(): Promise<boolean> {
    try {
      await this.#renew();
      return true;
    } catch (error) {
      this.#context.log.warn({ err: error, loop: "lease" }, "the lease was not renewed");
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
    this.#told = JSON.stringify(facts);
    return renewed;
  }

  #reportHeldLoop(): void {
    const renewals = this.#keeper?.takeCount() ?? 0;
    if (renewals === 0) return;
    const what = "the event loop was held up; a thread beside it kept this host's lease";
    this.#context.log.warn({ loop: "lease", renewals }, what);
  }

  /** Others have our jobs now. Drivers let go of them, and what is left of them on this host is removed. */
  #recover(lostAt: number): void {
    const { log, store } = this.#context;
    log.warn(
      { lostAt },
      "this host was declared lost; its jobs were taken over, and their guests are removed",
    );
    store.wake({ kind: "all" });
    this.#isAuditDue = true;
  }

  /** Beside the loop: an audit may take longer than the lease that it must not cost. One that fails is due again. */
  #auditBeside(): void {
    if (this.#isAuditing) return;
    this.#isAuditing = true;
    this.#isAuditDue = false;
    audit(this.#context, { fix: true })
      .catch((error: unknown) => {
        this.#isAuditDue = true;
        this.#context.log.warn(
          { problem: errorText(error) },
          "the audit after the loss failed; it is repeated",
        );
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
      // A claim that was under way when its host was declared lost is found here later.
      const isDue = host?.lostAt === null || active.has(hostId);
      if (host && isDue) await this.#takeOver(host, renewals);
    }
  }

  async #takeOver(host: HostRecord, renewals: number): Promise<void> {
    const { store, log } = this.#context;
    const { hostId } = host;
    const facts = { lostHost: hostId, lostHostname: host.facts.hostname };
    if (host.lostAt === null) log.warn(facts, "a host's lease ran out");
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

  /** What the lost host would have done when it released the guest. Nothing depends on it. */
  async #compactLogs({ jobs }: Takeover): Promise<void> {
    for (const { id: jobId, attempt } of jobs) {
      await compactLogs(this.#context.store, { jobId, attempt });
    }
  }
}
