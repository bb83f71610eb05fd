import { releaseOutput } from "../../attempts/output/output-log.ts";
import { errorText } from "../../core/errors.ts";
import type { Job } from "../../core/job/job.ts";
import { closeAttempt } from "../../store/jobs/attempts.ts";
import { compactLogs } from "../../store/logs/logs.ts";
import type { Context } from "../context.ts";
import { isStoreAway } from "../store-away.ts";
import { keepWholeConsole } from "./console.ts";

/**
 * The one way a guest goes: keep its console, remove it with all its files, and only then record that it is gone. Each
 * part can be repeated, so a crash in between costs nothing.
 */
export async function release(context: Context, job: Job): Promise<void> {
  const attempt = { jobId: job.id, attempt: job.attempt };
  await keepIfPossible(attempt, context, () => keepWholeConsole(context, job));
  // Its runner is silent now: what may have been the beginning of a secret is not.
  const parts = { ...context, logLimitBytes: context.config.logLimitBytes };
  await keepIfPossible(attempt, context, () => releaseOutput(parts, job, context.masks.of(job)));
  await context.hypervisor.remove(job.id);
  await compactLogs(context.store, attempt);
  await closeAttempt(context.store, { ...attempt, at: Date.now() });
  context.masks.forget(job);
}

/** The store comes back, and what was to be kept must be there then; nothing else may keep a slot and a disk occupied. */
async function keepIfPossible(
  attempt: object,
  { log }: Context,
  keep: () => Promise<unknown>,
): Promise<void> {
  try {
    await keep();
  } catch (error) {
    if (isStoreAway(error)) throw error;
    log.warn({ ...attempt, problem: errorText(error) }, "a log could not be kept to its end");
  }
}
