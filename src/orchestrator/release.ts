import { errorText } from "../core/errors.ts";
import type { Job } from "../core/job.ts";
import { compactLog } from "../store/logs.ts";
import { setMachineState } from "../store/machines.ts";
import { closeSteps } from "../store/steps.ts";
import { keepConsole } from "./console.ts";
import type { Context } from "./context.ts";

/**
 * The one way a guest goes: keep its console, remove it with all its files, and only then record that it is gone. Each
 * part can be repeated, so a crash in between costs nothing.
 */
export async function release(context: Context, job: Job): Promise<void> {
  const attempt = { jobId: job.id, attempt: job.attempt };
  try {
    await keepConsole(context, job);
  } catch (error) {
    // A console that cannot be read must not keep a slot and a disk occupied.
    context.log.warn({ ...attempt, problem: errorText(error) }, "the console could not be kept");
  }
  await context.hypervisor.remove(job.id);
  await closeSteps(context.store, { ...attempt, at: Date.now() });
  await compactLog(context.store, { ...attempt, stream: "output" });
  await compactLog(context.store, { ...attempt, stream: "console" });
  await setMachineState(context.store, { ...attempt, state: "gone", at: Date.now() });
}
