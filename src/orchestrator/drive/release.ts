import { errorText } from "../../core/errors.ts";
import type { Job } from "../../core/job.ts";
import { closeAttempt } from "../../store/attempts.ts";
import { compactLogs } from "../../store/logs.ts";
import type { Context } from "../context.ts";
import { isStoreAway } from "../store-away.ts";
import { keepConsole } from "./console.ts";

/**
 * The one way a guest goes: keep its console, remove it with all its files, and only then record that it is gone. Each
 * part can be repeated, so a crash in between costs nothing.
 */
export async function release(context: Context, job: Job): Promise<void> {
  const attempt = { jobId: job.id, attempt: job.attempt };
  try {
    await keepConsole(context, job);
  } catch (error) {
    // The store comes back, and the console must be there then.
    if (isStoreAway(error)) throw error;
    // A console that cannot be read must not keep a slot and a disk occupied.
    context.log.warn({ ...attempt, problem: errorText(error) }, "the console could not be kept");
  }
  await context.hypervisor.remove(job.id);
  await compactLogs(context.store, attempt);
  await closeAttempt(context.store, { ...attempt, at: Date.now() });
}
