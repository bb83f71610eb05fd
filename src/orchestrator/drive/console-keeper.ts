import { SolsticeError } from "../../core/errors.ts";
import type { Job } from "../../core/job/job.ts";
import { getJob } from "../../store/jobs/jobs.ts";
import type { Context } from "../context.ts";
import { type Loop, startLoop } from "../loop.ts";
import { isStoreAway } from "../store-away.ts";
import { keepConsole, keepConsoleFrom } from "./console.ts";

/** How often a guest's console is looked at while it runs, in ms. A look that finds nothing new costs some system calls. */
const lookMs = 500;

/**
 * Brings the console of a job's guest into the store while it is written, so that any host's API can show it live, and
 * what a guest said is there whatever becomes of this host. Runs as long as the job's driver; ends by itself with the
 * attempt.
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
      // A guest that has just been asked for has nothing to say, and one that is soon gone has its console kept then.
      if (!isDue) {
        isDue = true;
        return lookMs;
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
      return lookMs;
    },
  });
}
