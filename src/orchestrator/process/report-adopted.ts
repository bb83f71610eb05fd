import { listActive } from "../../store/jobs/capacity.ts";
import type { Context } from "../context.ts";
import type { LastRun } from "../last-run.ts";

/**
 * Logs each job that this start adopts from the process before it. Guests keep the URL that they received at
 * boot: a warning has the number of guests with another URL.
 */
export async function reportAdopted(
  { store, identity, log, runnerUrl }: Pick<Context, "store" | "identity" | "log" | "runnerUrl">,
  lastRun: Pick<LastRun, "runnerUrl"> | null,
): Promise<void> {
  const jobs = await listActive(store, identity.hostId);
  for (const { id, attempt, state } of jobs) {
    log.info({ jobId: id, attempt, state }, `adopted job ${id}, attempt ${attempt}`);
  }
  const calling = jobs.filter(({ state }) => state !== "finalizing").length;
  if (calling === 0 || lastRun === null || lastRun.runnerUrl === runnerUrl) return;
  log.warn(
    { guests: calling, formerRunnerUrl: lastRun.runnerUrl, runnerUrl },
    `${calling} adopted ${calling === 1 ? "job has a guest that calls" : "jobs have guests that call"} ${lastRun.runnerUrl}, but this ` +
      `start listens at ${runnerUrl}: unless the former URL also reaches this host, these jobs end with SILENCE_TIMEOUT. ` +
      "To keep them, restart with the former RUNNER_LISTEN and RUNNER_URL",
  );
}
