import { settlement } from "../../core/job/lifecycle.ts";
import { verdict } from "../../core/job/verdict.ts";
import { applyEvent, getJob } from "../../store/jobs/jobs.ts";
import type { AuditContext } from "./read-inventories.ts";

/**
 * Ends an attempt that has no machine record, and so no driver that could: its guest is removed, and it is repeated or
 * settled as any attempt that failed through us.
 */
export async function finishJob(context: AuditContext, jobId: string): Promise<void> {
  const job = await getJob(context.store, jobId);
  if (job === null) return;
  const { attempt } = job;
  const reason = "The record of this attempt's machine is missing, so the attempt could not go on.";
  const concluded = await applyEvent(context.store, {
    ...{ jobId, attempt, event: "conclude", at: Date.now() },
    verdict: job.verdict ?? verdict("guest_lost", reason),
  });
  if (concluded === null) return;
  await context.hypervisor.remove(jobId);
  const { event, verdict: ended } = settlement(concluded);
  await applyEvent(context.store, { jobId, attempt, event, at: Date.now(), verdict: ended });
}
