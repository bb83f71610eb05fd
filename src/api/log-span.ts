import { SolsticeError } from "../core/errors.ts";
import type { JobStep } from "../core/job.ts";
import type { AttemptKey } from "../store/keys.ts";
import { listSteps } from "../store/steps.ts";
import type { Store } from "../store/store.ts";

/** Which part of a log is read: from `start` to `end`, exclusive; null where it is not known yet. */
export interface LogSpan {
  readonly start: number;
  readonly end: number | null;
}

/** All of a log. */
export const wholeLog: LogSpan = { start: 0, end: null };

/**
 * The part of an attempt's output that a step wrote, by the step's name (the first one of that name) or, where none has
 * it, its index from 0; null while it has not begun. Throws `not_found`, with the names there are.
 */
export async function spanOfStep(store: Store, attempt: AttemptKey, name: string): Promise<LogSpan | null> {
  const steps = await listSteps(store, attempt);
  // An attempt that is still to come has none yet.
  if (steps.length === 0) return null;
  const step = findStep(steps, name);
  if (step === null) throw noSuchStep(attempt, steps, name);
  if (step.logStart === null) return null;
  // Steps run one after the other: one that begun ends the one before it, also where a guest did not say so.
  const next = steps.find(({ index, logStart }) => index > step.index && logStart !== null);
  return { start: step.logStart, end: step.logEnd ?? next?.logStart ?? null };
}

function findStep(steps: readonly JobStep[], name: string): JobStep | null {
  const named = steps.find((step) => step.name === name);
  if (named !== undefined || !/^\d+$/.test(name)) return named ?? null;
  return steps.find(({ index }) => index === Number(name)) ?? null;
}

function noSuchStep({ jobId, attempt }: AttemptKey, steps: readonly JobStep[], name: string) {
  const names = steps.map((step) => JSON.stringify(step.name)).join(", ");
  return new SolsticeError(
    "not_found",
    `Attempt ${attempt} of job ${jobId} has no step ${JSON.stringify(name)}.`,
    { remedy: `Its steps are ${names}.` },
  );
}
