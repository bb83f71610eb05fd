import { settlement } from "../../core/job/lifecycle.ts";
import { verdict } from "../../core/job/verdict.ts";
import { applyEvent, getJob } from "../../store/jobs/jobs.ts";
import type { AuditContext } from "./read-inventories.ts";

/**
 * Ends an attempt without a machine record, which therefore has no driver: removes its guest, and requeues or
 * settles the job as after any attempt that failed on our side.
 */
export async function finishJob(context: AuditContext, jobId: string): Promise<void> {
  const job = await getJob(context.store, jobId);
  if (job === null) return;
  const { attempt } = job;
  const reason = "The machine record of this attempt is missing, so the attempt was ended.";
  const concluded = await applyEvent(context.store, {
    ...{ jobId, attempt, event: "conclude", at: Date.now() },
    verdict: job.verdict ?? verdict("guest_lost", reason),
  });
  if (concluded === null) return;
  await context.hypervisor.remove(jobId);
  const { event, verdict: ended } = settlement(concluded);
  await applyEvent(context.store, { jobId, attempt, event, at: Date.now(), verdict: ended });
}
