import { listActive } from "../../store/jobs/capacity.ts";
import type { Context } from "../context.ts";
import type { LastRun } from "../last-run.ts";

/**
 * Logs each job that this start takes on from the process before it. Guests keep the URL that they were given at their boot:
 * where that was another one, a warning has their number.
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
    `${calling} adopted ${calling === 1 ? "job has a guest that calls" : "jobs have guests that call"} ${lastRun.runnerUrl}, and this ` +
      `start gives guests ${runnerUrl}: unless the former address leads here too, their jobs end with SILENCE_TIMEOUT. ` +
      "Restart with the former RUNNER_LISTEN and RUNNER_URL to keep them",
  );
}
