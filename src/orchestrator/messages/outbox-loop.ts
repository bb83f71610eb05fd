import { buildJobResult } from "../../core/job/job-result.ts";
import type { Broker } from "../../queue/broker.ts";
import {
  claimResults,
  type EndedJobFacts,
  loadEndedJobs,
  markPublished,
  maxClaimed,
  releaseResults,
} from "../../store/outbox/outbox.ts";
import type { Context } from "../context.ts";
import { startLoop } from "../loop.ts";

/** How often the outbox is looked at when no wake-up comes, in ms: for what another host left. */
const safetyPollMs = 5000;

/** How long the broker is left alone after it did not take a result, in ms. */
const retryPauseMs = 500;

/** How long a claim keeps other hosts from a result, in ms: far longer than a publish may take. */
const claimMs = 120_000;

/** The loop that publishes results. */
export interface OutboxLoop {
  /**
   * Goes on until nothing is left to publish or the broker is away, `settleTimeoutMs` at most, then ends. A repeat is the
   * same.
   */
  close(options: { settleTimeoutMs: number }): Promise<void>;
}

/** What a round of the loop works with. */
interface Outbox {
  readonly context: Context;
  readonly broker: Pick<Broker, "publishResult">;
  /** Confirmed by the broker, and not yet noted in the store. */
  confirmed: string[];
  /** Whether the broker did not take what it was last given: it is then tried with one result at a time. */
  isStuck: boolean;
}

/**
 * Starts the loop that publishes the results of ended jobs, oldest first: it claims some, publishes them side by side, and
 * notes what the broker confirmed. Each goes out at least once; more than once only when a process dies, or the store is
 * away for long, between the confirm and the note.
 */
export function startOutboxLoop(context: Context, broker: Outbox["broker"]): OutboxLoop {
  const outbox: Outbox = { context, broker, confirmed: [], isStuck: false };
  const settled: (() => void)[] = [];
  let mayHoldClaims = true;
  const loop = startLoop({
    name: "outbox",
    log: context.log,
    run: async () => {
      await noteConfirmed(outbox);
      // What the last process of this host had claimed waits for nobody, nor does a claim whose answer was lost.
      if (mayHoldClaims) await releaseResults(context.store, { hostId: context.identity.hostId });
      mayHoldClaims = true;
      const claimed = await publishSome(outbox);
      mayHoldClaims = false;
      if (claimed > 0 && !outbox.isStuck) return 0;
      for (const resolve of settled.splice(0)) resolve();
      return claimed > 0 ? retryPauseMs : safetyPollMs;
    },
  });
  const unsubscribe = context.store.subscribe((wake) => {
    // Wakes of other hosts do not say that a job has ended: each host publishes its own results first.
    if (wake.kind === "all" || wake.ended) loop.wake();
  });
  void loop.ended.then(unsubscribe);
  const settle = (timeoutMs: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      settled.push(() => {
        clearTimeout(timer);
        resolve();
      });
      loop.wake();
    });
  let closing: Promise<void> | null = null;
  return {
    close({ settleTimeoutMs }) {
      closing ??= settle(settleTimeoutMs).then(() => loop.stop());
      return closing;
    },
  };
}

/** Publishes one batch, and gives back what the broker did not take; returns how many results it took on. */
async function publishSome(outbox: Outbox): Promise<number> {
  const { store, identity, log } = outbox.context;
  const { hostId } = identity;
  const at = Date.now();
  const limit = outbox.isStuck ? 1 : maxClaimed;
  const jobIds = await claimResults(store, { hostId, at, until: at + claimMs, limit });
  if (jobIds.length === 0) return 0;
  const { jobs, failed } = await loadEndedJobs(store, jobIds).catch(async (error: unknown) => {
    await releaseResults(store, { hostId, jobIds });
    throw error;
  });
  // It stays claimed for a while, so that it does not stand in the way of those behind it.
  for (const { jobId, error } of failed) log.error({ err: error, jobId }, "a result cannot be made");
  const errors = await publishAll(outbox, jobs);
  reportWhetherStuck(outbox, errors);
  await noteConfirmed(outbox);
  await releaseResults(store, { hostId, jobIds: [...errors.keys()] });
  return jobIds.length;
}

/** Once in each direction: an outage is long, and there are many results. */
function reportWhetherStuck(outbox: Outbox, errors: ReadonlyMap<string, unknown>): void {
  const [error] = errors.values();
  const isStuck = errors.size > 0;
  if (isStuck === outbox.isStuck) return;
  outbox.isStuck = isStuck;
  const { log } = outbox.context;
  if (isStuck) log.warn({ err: error }, "results wait in the outbox: the broker does not take them");
  else log.info({}, "the broker takes results again");
}

/** Side by side: a confirm takes a flush of the broker's disk, and it flushes many at once. */
async function publishAll(outbox: Outbox, jobs: readonly EndedJobFacts[]): Promise<Map<string, unknown>> {
  const errors = new Map<string, unknown>();
  await Promise.all(
    jobs.map(async (facts) => {
      const jobId = facts.job.id;
      try {
        // No page shows logs yet that could be linked to.
        await outbox.broker.publishResult(buildJobResult({ ...facts, logUrl: null }));
        outbox.confirmed.push(jobId);
      } catch (error) {
        errors.set(jobId, error);
      }
    }),
  );
  return errors;
}

/** Kept until the store has it: a store that is away for a moment must not make results go out twice. */
async function noteConfirmed(outbox: Outbox): Promise<void> {
  const jobIds = outbox.confirmed;
  if (jobIds.length === 0) return;
  await markPublished(outbox.context.store, { jobIds, at: Date.now() });
  outbox.confirmed = [];
}
