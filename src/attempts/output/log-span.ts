import { SolsticeError } from "../../core/errors.ts";
import type { JobStep } from "../../core/job/job.ts";
import { listSteps } from "../../store/jobs/steps.ts";
import type { AttemptKey } from "../../store/keys.ts";
import type { Store } from "../../store/store.ts";

/** Which part of a log is read: from `start` to `end`, exclusive; null where it is not known yet. */
export interface LogSpan {
  readonly start: number;
  readonly end: number | null;
}

/** How many steps of one name an error lists. */
const namedPlaces = 20;

/** All of a log. */
export const wholeLog: LogSpan = { start: 0, end: null };

/**
 * The part of an attempt's output that a step wrote, by the step's name or, where none has it, its index from 0; null while
 * it has not begun. Throws `not_found`, with the names there are, and `conflict` where several steps have the name.
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
  const [named, ...others] = steps.filter((step) => step.name === name);
  if (named !== undefined && others.length > 0) throw severalSteps([named, ...others], name);
  if (named !== undefined || !/^\d+$/.test(name)) return named ?? null;
  return steps.find(({ index }) => index === Number(name)) ?? null;
}

function severalSteps(steps: readonly JobStep[], name: string) {
  const places = steps.slice(0, namedPlaces).map(({ index }) => index);
  const more = steps.length > places.length ? " …" : "";
  return new SolsticeError("conflict", `${steps.length} steps have the name ${JSON.stringify(name)}.`, {
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
