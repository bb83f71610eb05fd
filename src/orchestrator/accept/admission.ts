import { z } from "zod";
import { type ErrorCode, isSolsticeError, SolsticeError } from "../../core/errors.ts";
import type { AcceptedJob } from "../../core/job/accepted-job.ts";
import type { Job } from "../../core/job/job.ts";
import { isFinal } from "../../core/job/job-state.ts";
import { repeatRequest } from "../../core/request/job-request.ts";
import { findJobByRequest } from "../../store/jobs/jobs.ts";
import type { Context } from "../context.ts";
import { accept } from "./accept.ts";
import { createQueueCapacity, type QueueCapacity } from "./queue-capacity.ts";

/**
 * The entry for requests from the API and the broker. Both use {@link accept}, and a repeated request always
 * succeeds.
 */
export interface Admission {
  readonly capacity: QueueCapacity;
  /**
   * Accepts a request from the API. Errors as in {@link accept}, and `limit_exceeded` while the store is
   * full.
   */
  accept(input: unknown): Promise<AcceptedJob>;
  /**
   * Makes a new job from the request of an ended job, under a request id that the caller chose. The new job is
   * placed like any other, by the current image map, in which the ended job's image may have been corrected or
   * removed. Errors as in `accept`, and `conflict` for a job that has not ended, or an id that belongs to
   * another job.
   */
  retry(job: Job, requestId: string): Promise<AcceptedJob>;
  /**
   * Accepts a request that the broker has already delivered, also when the store has just become full:
   * returning the delivery would count against its redeliveries. The consumer stops consuming then.
   */
  acceptDelivered(input: unknown): Promise<AcceptedJob>;
}

/** Errors that do not apply to a request which is a job already: an image map may have changed since. */
const ignoredForRepeats: readonly ErrorCode[] = ["unknown_label", "image_unavailable", "limit_exceeded"];

const identified = z.looseObject({ request_id: z.uuid().toLowerCase() });

/** Creates the entry for requests. */
export function createAdmission(context: Context): Admission {
  const capacity = createQueueCapacity(context.store, context.config.maxQueued);
  const take = async (input: unknown, retryOf: string | null = null) => {
    const accepted = await accept(context, input, retryOf);
    if (!accepted.existed) capacity.add();
    return accepted;
  };
  const orKnown = async (input: unknown, taking: () => Promise<AcceptedJob>): Promise<AcceptedJob> => {
    try {
      return await taking();
    } catch (error) {
      const existing = await findExisting(context, input, error);
      if (existing === null) throw error;
      return { job: existing, existed: true };
    }
  };
  const takeWhereCapacity = (input: unknown, retryOf: string | null) =>
    orKnown(input, async () => {
      await refuseWhenFull(capacity);
      return take(input, retryOf);
    });
  return {
    capacity,
    accept: async (input) => withWarnings(context, await takeWhereCapacity(input, null)),
    async retry(job, requestId) {
      refuseUnended(job);
      const accepted = await takeWhereCapacity(
        repeatRequest(job.request, { requestId, at: Date.now() }),
        job.id,
      );
      refuseForeign(accepted, job);
      return withWarnings(context, accepted);
    },
    async acceptDelivered(input) {
      const accepted = await orKnown(input, () => take(input));
      // The sender of a delivery does not wait for warnings: the log and `explain` have them.
      void context.reach.report(accepted.job);
      return accepted;
    },
  };
}

async function withWarnings(context: Context, accepted: AcceptedJob): Promise<AcceptedJob> {
  const closed = isFinal(accepted.job.state) ? null : await context.reach.whyUnreachable(accepted.job);
  if (closed === null) return accepted;
  void context.reach.report(accepted.job);
  return { ...accepted, warnings: [closed] };
}

async function refuseWhenFull(capacity: QueueCapacity): Promise<void> {
  if ((await capacity.waiting()) < capacity.limit) return;
  throw new SolsticeError("limit_exceeded", `The queue is full: ${capacity.limit} jobs wait.`, {
    remedy: "Submit again later; the operator can raise MAX_QUEUED or add hosts.",
  });
}

function refuseUnended(job: Job): void {
  if (isFinal(job.state)) return;
  throw new SolsticeError("conflict", `Job ${job.id} has not ended: it is ${job.state}.`, {
    remedy: `Wait for its end, or cancel it first: solstice cancel ${job.id}`,
  });
}

/** Throws for a request id that was used for another request: its job must not pass for this retry. */
function refuseForeign({ job, existed }: AcceptedJob, repeated: Job): void {
  if (!existed || job.retryOf === repeated.id) return;
  throw new SolsticeError(
    "conflict",
    `The request id belongs to job ${job.id}, which is not a retry of ${repeated.id}.`,
    {
      remedy: "Choose a new request id.",
    },
  );
}

async function findExisting(context: Context, input: unknown, error: unknown): Promise<Job | null> {
  if (!isSolsticeError(error) || !ignoredForRepeats.includes(error.code)) return null;
  const parsed = identified.safeParse(input);
  return parsed.success ? findJobByRequest(context.store, parsed.data.request_id) : null;
}
