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

/** Milliseconds between polls of the outbox without a wake: for results that another host left. */
const safetyPollMs = 5000;

/** Pause before the next publication after the broker refused a result, in ms. */
const retryPauseMs = 500;

/**
 * Duration of a claim, which reserves a result for this host, in ms: far longer than a publication may take.
 */
const claimMs = 120_000;

/** The loop that publishes results. */
export interface OutboxLoop {
  /**
   * Continues until all results are published, the broker is unavailable, or `settleTimeoutMs` has passed,
   * then ends. Idempotent.
   */
  close(options: { settleTimeoutMs: number }): Promise<void>;
}

/** The state of the loop. */
interface Outbox {
  readonly context: Context;
  readonly broker: Pick<Broker, "publishResult">;
  /** Results confirmed by the broker, and not yet recorded in the store. */
  confirmed: string[];
  /** True when the broker refused the last results: the next round tries a single result. */
  isStuck: boolean;
}

/**
 * Starts the loop that publishes the results of ended jobs, oldest first: it claims some, publishes them
 * concurrently, and records the confirmations of the broker. Each result is published at least once; more
 * than once only when a process crashes, or the store is unavailable for long, between confirmation and
 * record.
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
      // Releases the claims of this host's last process, and claims whose answer was lost.
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
    // Wakes of other hosts do not report ended jobs: each host publishes its own results first.
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

/**
 * Publishes one batch, and releases the results that the broker refused; returns the number of claimed
 * results.
 */
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
  // The claim stays for a while, so that this result does not block the results behind it.
  for (const { jobId, error } of failed) log.error({ err: error, jobId }, "result cannot be built");
  const errors = await publishAll(outbox, jobs);
  reportWhetherStuck(outbox, errors);
  await noteConfirmed(outbox);
  await releaseResults(store, { hostId, jobIds: [...errors.keys()] });
  return jobIds.length;
}

/** Logs the beginning and the end of an outage once: an outage is long, and there are many results. */
function reportWhetherStuck(outbox: Outbox, errors: ReadonlyMap<string, unknown>): void {
  const [error] = errors.values();
  const isStuck = errors.size > 0;
  if (isStuck === outbox.isStuck) return;
  outbox.isStuck = isStuck;
  const { log } = outbox.context;
  if (isStuck) log.warn({ err: error }, "results wait in the outbox: publishing failed; they are sent again");
  else log.info({}, "the broker accepts results again");
}

/**
 * Publishes concurrently: each confirmation needs a flush of the broker's disk, and the broker flushes many
 * at once.
 */
async function publishAll(outbox: Outbox, jobs: readonly EndedJobFacts[]): Promise<Map<string, unknown>> {
  const errors = new Map<string, unknown>();
  await Promise.all(
    jobs.map(async (facts) => {
      const jobId = facts.job.id;
      try {
        // No web page shows logs yet, so there is no URL.
        await outbox.broker.publishResult(buildJobResult({ ...facts, logUrl: null }));
        outbox.confirmed.push(jobId);
      } catch (error) {
        errors.set(jobId, error);
      }
    }),
  );
  return errors;
}

/** Retried until the store has recorded it: a short failure of the store must not publish results twice. */
async function noteConfirmed(outbox: Outbox): Promise<void> {
  const jobIds = outbox.confirmed;
  if (jobIds.length === 0) return;
  await markPublished(outbox.context.store, { jobIds, at: Date.now() });
  outbox.confirmed = [];
}
