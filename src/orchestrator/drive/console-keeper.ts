import { SolsticeError } from "../../core/errors.ts";
import type { Job } from "../../core/job/job.ts";
import { getJob } from "../../store/jobs/jobs.ts";
import type { Context } from "../context.ts";
import { type Loop, startLoop } from "../loop.ts";
import { isStoreAway } from "../store-away.ts";
import { keepConsole, keepConsoleFrom } from "./console.ts";

/**
 * Milliseconds between reads of a running guest's console. A read without new output costs some system calls.
 */
const readIntervalMs = 500;

/**
 * Copies the console of a job's guest into the store while the guest runs, so that any host's API can show it
 * live, and it survives a loss of this host. Runs as long as the job's driver; ends with the attempt.
 */
export function startConsoleKeeper(context: Context, jobId: string): Loop {
  let job: Job | null = null;
  let received: number | null = null;
  let isDue = false;
  return startLoop({
    name: `console of job ${jobId}`,
    isLoggedElsewhere: isStoreAway,
    log: context.log,
    run: async () => {
      // A guest that was just created has no output yet, and the console of a short-lived guest is stored at
      // its end.
      if (!isDue) {
        isDue = true;
        return readIntervalMs;
      }
      job ??= await getJob(context.store, jobId);
      if (job === null) return "done";
      try {
        received =
          received === null ? await keepConsole(context, job) : await keepConsoleFrom(context, job, received);
      } catch (error) {
        if (error instanceof SolsticeError && error.code === "conflict") return "done";
        throw error;
      }
      return readIntervalMs;
    },
  });
}
