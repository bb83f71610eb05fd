import type { Transaction } from "kysely";
import type { Job } from "../../core/job/job.ts";
import { settlement, verdictOfLostHost } from "../../core/job/lifecycle.ts";
import { listActive } from "../jobs/capacity.ts";
import { applyWithin } from "../jobs/job-changes.ts";
import { closeStepsWithin } from "../jobs/steps.ts";
import { toMachine, toStep } from "../rows.ts";
import type { Database } from "../schema/schema.ts";
import type { OpenWrite, Store } from "../store.ts";

/** Maximum number of jobs that one transaction takes over. */
export const maxTakenAtOnce = 100;

/** Result of one {@link takeOver}. */
export interface Takeover {
  /** The jobs after the takeover: queued again, or final with the verdict that they had. */
  readonly jobs: readonly Job[];
  /** True when the host has more jobs: call again. */
  readonly more: boolean;
}

/**
 * Declares a host lost and ends the jobs that it held, in one transaction: a finalizing job keeps its verdict, any
 * other job gets the verdict of a lost host, and each job then waits for another attempt or is settled, as its own host
 * would do. Guests that still run are removed by their own host when it is back. Null, without any change, when the
 * lease's number is not `renewals` any more: the host is alive.
 */
export async function takeOver(
  store: Store,
  loss: { hostId: string; renewals: number; at: number },
): Promise<Takeover | null> {
  return store.write(async (trx, announce) => {
    const lost = await trx
      .updateTable("hosts")
      .set((expression) => ({ lost_at: expression.fn.coalesce("lost_at", expression.val(loss.at)) }))
      .where("id", "=", loss.hostId)
      .where("renewals", "=", loss.renewals)
      .returning("id")
      .executeTakeFirst();
    if (lost === undefined) return null;
    const held = await listActive({ db: trx }, loss.hostId, maxTakenAtOnce);
    const jobs: Job[] = [];
    for (const job of held) {
      const ended = await endAttempt({ store, trx, announce }, { job, at: loss.at });
      if (ended !== null) jobs.push(ended);
    }
    return { jobs, more: held.length === maxTakenAtOnce };
  });
}

async function endAttempt(write: OpenWrite, { job, at }: { job: Job; at: number }): Promise<Job | null> {
  const change = { jobId: job.id, attempt: job.attempt, at };
  const ended = job.state === "finalizing" ? job.verdict : await verdictOf(write.trx, job);
  const concluded = await applyWithin(write, {
    ...change,
    event: "conclude",
    ...(ended && { verdict: ended }),
  });
  await closeStepsWithin(write.trx, change);
  if (concluded?.state !== "finalizing") return concluded;
  return applyWithin(write, { ...change, ...settlement(concluded) });
}

async function verdictOf(trx: Transaction<Database>, job: Job) {
  const machine = await trx
    .selectFrom("machines")
    .selectAll()
    .where("job_id", "=", job.id)
    .where("attempt", "=", job.attempt)
    .executeTakeFirstOrThrow();
  const failed = await trx
    .selectFrom("steps")
    .selectAll()
    .where("job_id", "=", job.id)
    .where("attempt", "=", job.attempt)
    .where("state", "=", "failed")
    .orderBy("step_index")
    .limit(1)
    .executeTakeFirst();
  return verdictOfLostHost({ job, machine: toMachine(machine), failedStep: failed ? toStep(failed) : null });
}
