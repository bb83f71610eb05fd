import { releaseOutput } from "../../attempts/output/output-log.ts";
import { errorText } from "../../core/errors.ts";
import type { Job } from "../../core/job/job.ts";
import { closeAttempt } from "../../store/jobs/attempts.ts";
import { compactLogs } from "../../store/logs/logs.ts";
import type { Context } from "../context.ts";
import { isStoreAway } from "../store-away.ts";
import { keepWholeConsole } from "./console.ts";

/**
 * Removes a guest: stores its console, removes it with all its files, and only then records that it is gone.
 * Each part is idempotent, so a crash in between is safe.
 */
export async function release(context: Context, job: Job): Promise<void> {
  const attempt = { jobId: job.id, attempt: job.attempt };
  await keepIfPossible(attempt, context, () => keepWholeConsole(context, job));
  // The runner sends no more output: bytes held as a possible beginning of a secret are stored now.
  const parts = { ...context, logLimitBytes: context.config.logLimitBytes };
  await keepIfPossible(attempt, context, () => releaseOutput(parts, job, context.masks.of(job)));
  await context.hypervisor.remove(job.id);
  await compactLogs(context.store, attempt);
  await closeAttempt(context.store, { ...attempt, at: Date.now() });
  context.masks.forget(job);
}

/**
 * Waits for an unavailable store, because the log must be stored; no other error may keep a slot and a disk
 * occupied.
 */
async function keepIfPossible(
  attempt: object,
  { log }: Context,
  keep: () => Promise<unknown>,
): Promise<void> {
  try {
    await keep();
  } catch (error) {
    if (isStoreAway(error)) throw error;
    log.warn({ ...attempt, problem: errorText(error) }, "end of a log could not be stored");
  }
}
