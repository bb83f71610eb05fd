import { isActive } from "../core/job-state.ts";
import { getJob } from "../store/jobs.ts";
import { listMachines, setMachineState } from "../store/machines.ts";
import type { Context } from "./context.ts";
import { type Loop, startLoop } from "./loop.ts";

/** How often the host is compared with the store, in ms. */
const auditIntervalMs = 5 * 60_000;

/** Starts the loop that looks for leaks every few minutes, the first time that long after the audit of the start. */
export function startAuditLoop(context: Context): Loop {
  let due = false;
  return startLoop({
    name: "audit",
    log: context.log,
    run: async () => {
      if (due) await audit(context);
      due = true;
      return auditIntervalMs;
    },
  });
}

/**
 * Compares this host with the store and removes what no active job owns. Guests of active jobs are left to their drivers;
 * guests that are not ours are never listed in the first place.
 */
export async function audit(context: Context): Promise<void> {
  const { domains, directories } = await context.hypervisor.listTraces();
  for (const jobId of new Set([...domains, ...directories].map((trace) => trace.jobId))) {
    await context.guestLock.run(jobId, () => removeIfStray(context, jobId));
  }
  for (const machine of await listMachines(context.store, context.identity.hostId)) {
    await context.guestLock.run(machine.jobId, async () => {
      const job = await getJob(context.store, machine.jobId);
      if (job && isActive(job.state) && job.attempt === machine.attempt) return;
      const { jobId, attempt } = machine;
      await setMachineState(context.store, { jobId, attempt, state: "gone", at: Date.now() });
    });
  }
}

async function removeIfStray(context: Context, jobId: string): Promise<void> {
  const job = await getJob(context.store, jobId);
  if (job && isActive(job.state) && job.hostId === context.identity.hostId) return;
  context.log.warn({ jobId, jobState: job?.state ?? "unknown" }, "removing a stray guest");
  await context.hypervisor.remove(jobId);
}
