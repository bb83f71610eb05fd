import { SolsticeError } from "../core/errors.ts";
import { buildJobResult } from "../core/job-result.ts";
import type { Broker } from "../queue/broker.ts";
import {
  claimResults,
  type EndedJobFacts,
  loadEndedJobs,
  markPublished,
  maxClaimed,
  releaseResults,
} from "../store/outbox.ts";
import type { Context } from "./context.ts";
import { startLoop } from "./loop.ts";

/** How often the outbox is looked at when no wake-up comes, in ms: for what another host left. */
const safetyPollMs = 5000;

/** How often the broker is looked at while it is away, in ms. */
const awayPollMs = 500;

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
  readonly broker: Pick<Broker, "publishResult" | "status">;
  /** Confirmed by the broker, and not yet noted in the store. */
  confirmed: string[];
}

/**
 * Starts the loop that publishes the results of ended jobs, oldest first: it claims some, publishes them side by side, and
 * notes what the broker confirmed. Each goes out at least once; more than once only when a process dies, or the store is
 * away for long, between the confirm and the note.
 */
export function startOutboxLoop(context: Context, broker: Outbox["broker"]): OutboxLoop {
  const outbox: Outbox = { context, broker, confirmed: [] };
  const settled: (() => void)[] = [];
  let isFirst = true;
  const loop = startLoop({
    name: "outbox",
    log: context.log,
    run: async () => {
      // What the last process of this host had claimed waits for nobody.
      if (isFirst) await releaseResults(context.store, { hostId: context.identity.hostId });
      isFirst = false;
      await noteConfirmed(outbox);
      const isAway = !broker.status().connected;
      const claimed = isAway ? 0 : await publishSome(outbox);
      if (claimed > 0) return 0;
      for (const resolve of settled.splice(0)) resolve();
      return isAway ? awayPollMs : safetyPollMs;
    },
  });
  const unsubscribe = context.store.subscribe((wake) => {
    // Ends that other hosts wrote come without their time: each host publishes its own first.
    if (wake.kind === "all" || wake.endedAt !== undefined) loop.wake();
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

/** Publishes one batch; returns how many results it took on. Throws when the broker did not take all. */
async function publishSome(outbox: Outbox): Promise<number> {
  const { store, identity, log } = outbox.context;
  const { hostId } = identity;
  const at = Date.now();
  const jobIds = await claimResults(store, { hostId, at, until: at + claimMs, limit: maxClaimed });
  if (jobIds.length === 0) return 0;
  const { jobs, failed } = await loadEndedJobs(store, jobIds).catch(async (error: unknown) => {
    await releaseResults(store, { hostId, jobIds });
    throw error;
  });
  // It stays claimed for a while, so that it does not stand in the way of those behind it.
  for (const { jobId, error } of failed) log.error({ err: error, jobId }, "a result cannot be made");
  const errors = await publishAll(outbox, jobs);
  await noteConfirmed(outbox);
  if (errors.size === 0) return jobIds.length;
  await releaseResults(store, { hostId, jobIds: [...errors.keys()] });
  const [cause] = errors.values();
  throw new SolsticeError("broker_unavailable", `${errors.size} results could not be published.`, { cause });
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
