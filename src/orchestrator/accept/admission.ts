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

/** The way in for requests, from whichever side. Both ways are {@link accept}, and a repeat is always answered. */
export interface Admission {
  readonly capacity: QueueCapacity;
  /** Takes what a caller of the API sends. Errors as of {@link accept}, and `limit_exceeded` while the store is full. */
  accept(input: unknown): Promise<AcceptedJob>;
  /**
   * Makes a new job of the request of one that has ended, under a request id that the caller chose. The new job is placed as
   * any other: by the image map of now, in which the old job's image may have been corrected or removed. Errors as of `accept`,
   * and `conflict` for a job that has not ended, or an id that is another job's.
   */
  retry(job: Job, requestId: string): Promise<AcceptedJob>;
  /**
   * Takes what the broker has handed out already, also when the store has just become full: giving it back would count
   * against its redeliveries. Whoever consumes stops consuming then.
   */
  acceptDelivered(input: unknown): Promise<AcceptedJob>;
}

/** Errors that say nothing about a request which has become a job before: an image map may have changed since. */
const forgivenOnRepeat: readonly ErrorCode[] = ["unknown_label", "image_unavailable", "limit_exceeded"];

const identified = z.looseObject({ request_id: z.uuid().toLowerCase() });

/** Creates the way in. */
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
      const known = await findKnown(context, input, error);
      if (known === null) throw error;
      return { job: known, existed: true };
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
      // Its sender does not wait for an answer: the log has it, and `explain`.
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
  throw new SolsticeError(
    "limit_exceeded",
    `${capacity.limit} jobs wait already; no more are taken for now.`,
    {
      remedy: "Submit again later; the operator can raise MAX_QUEUED, or add hosts.",
    },
  );
}

function refuseUnended(job: Job): void {
  if (isFinal(job.state)) return;
  throw new SolsticeError("conflict", `Job ${job.id} has not ended: it is ${job.state}.`, {
    remedy: `Wait for its end, or end it first: solstice cancel ${job.id}`,
  });
}

/** An id that was used for something else must not pass for this retry. */
function refuseForeign({ job, existed }: AcceptedJob, repeated: Job): void {
  if (!existed || job.retryOf === repeated.id) return;
  throw new SolsticeError(
    "conflict",
    `The request id is that of job ${job.id}, which does not repeat ${repeated.id}.`,
    {
      remedy: "Choose a new request id.",
    },
  );
}

async function findKnown(context: Context, input: unknown, error: unknown): Promise<Job | null> {
  if (!isSolsticeError(error) || !forgivenOnRepeat.includes(error.code)) return null;
  const parsed = identified.safeParse(input);
  return parsed.success ? findJobByRequest(context.store, parsed.data.request_id) : null;
}
