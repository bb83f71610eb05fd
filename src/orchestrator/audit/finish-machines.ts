import { holds } from "../../core/audit/ownership.ts";
import { readStoreInventory } from "../../store/hosts/audit.ts";
import { closeAttempt } from "../../store/jobs/attempts.ts";
import type { AuditContext } from "./read-inventories.ts";

/** Records that the guests of a job's ended attempts on this host are gone. */
export async function finishMachines(context: AuditContext, jobId: string): Promise<void> {
  const { hostId } = context.identity;
  const { jobs, machines } = await readStoreInventory(context.store, {
    hostId,
    jobIds: [jobId],
    loggedJobIds: [],
  });
  const over = machines.filter(
    (machine) => machine.jobId === jobId && !holds(hostId, jobs.get(jobId), machine.attempt),
  );
  for (const { attempt } of over) {
    await closeAttempt(context.store, { jobId, attempt, at: Date.now() });
  }
}
