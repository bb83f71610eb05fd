import { SolsticeError } from "../../core/errors.ts";
import type { JobStep } from "../../core/job/job.ts";
import { listSteps } from "../../store/jobs/steps.ts";
import type { AttemptKey } from "../../store/keys.ts";
import type { Store } from "../../store/store.ts";

/** The part of a log to read: from `start` to `end`, exclusive; `end` is null while the part still grows. */
export interface LogSpan {
  readonly start: number;
  readonly end: number | null;
}

/** Maximum number of step indexes in an error. */
const namedPlaces = 20;

/** The whole log. */
export const wholeLog: LogSpan = { start: 0, end: null };

/**
 * Finds the output of a step, by the step's name or, if no step has that name, its index from 0. Null when
 * the step has not begun. Throws `not_found` with the names of all steps, and `conflict` when several steps
 * have the name.
 */
export async function spanOfStep(store: Store, attempt: AttemptKey, name: string): Promise<LogSpan | null> {
  const steps = await listSteps(store, attempt);
  // An attempt that has not begun has no steps.
  if (steps.length === 0) return null;
  const step = findStep(steps, name);
  if (step === null) throw noSuchStep(attempt, steps, name);
  if (step.logStart === null) return null;
  // Steps run one after the other: a started step ends the step before it, even if the guest did not report
  // the end.
  const next = steps.find(({ index, logStart }) => index > step.index && logStart !== null);
  return { start: step.logStart, end: step.logEnd ?? next?.logStart ?? null };
}

function findStep(steps: readonly JobStep[], name: string): JobStep | null {
  const [named, ...others] = steps.filter((step) => step.name === name);
  if (named !== undefined && others.length > 0) throw severalSteps([named, ...others], name);
  if (named !== undefined || !/^\d+$/.test(name)) return named ?? null;
  return steps.find(({ index }) => index === Number(name)) ?? null;
}

function severalSteps(steps: readonly JobStep[], name: string) {
  const places = steps.slice(0, namedPlaces).map(({ index }) => index);
  const more = steps.length > places.length ? " …" : "";
  return new SolsticeError("conflict", `${steps.length} steps are named ${JSON.stringify(name)}.`, {
    remedy: `Use the index of a step, from 0: ${places.join(", ")}${more}`,
  });
}

function noSuchStep({ jobId, attempt }: AttemptKey, steps: readonly JobStep[], name: string) {
  const names = steps.map((step) => JSON.stringify(step.name)).join(", ");
  return new SolsticeError(
    "not_found",
    `Attempt ${attempt} of job ${jobId} has no step ${JSON.stringify(name)}.`,
    { remedy: `Its steps are ${names}.` },
  );
}
