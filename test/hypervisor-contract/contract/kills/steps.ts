/**
 * When a process dies, relative to one of its steps. `before`: nothing of the step was done (and all earlier steps
 * were). `orphaned`: the program was started, or the message sent, and continues without the process. `cut`: half of
 * the step was done.
 */
export type Moment = "before" | "orphaned" | "cut";

/** A change that a process makes to its host. */
export interface Step {
  /** See {@link nameStep}. */
  readonly name: string;
  /** The moments of death in the step, beside the one before it. */
  readonly moments: readonly Moment[];
}

/** Where a process dies: at the n-th step of a name, or of any name when `step` is {@link anyStep}, counted from 1. */
export interface KillPoint {
  readonly step: string;
  readonly nth: number;
  readonly moment: Moment;
}

/** Stands for every name of a step. */
export const anyStep = "*";

/** The record of a process from its start to its death or end. */
export interface Life {
  readonly point: KillPoint | null;
  /** The steps so far, including the one at which the process died. */
  readonly steps: Step[];
  /** True after death: later actions of the process must not reach its host. */
  isDead: boolean;
  /** Ends the process. Never resolves. */
  readonly die: () => Promise<never>;
}

/** Counts a step, and returns the moment of the step at which the process dies; null when it continues. */
export function begin(life: Life, what: string, moments: readonly Moment[]): Moment | null {
  const name = nameStep(what);
  life.steps.push({ name, moments });
  const { point } = life;
  if (point === null) return null;
  const counted = life.steps.filter((step) => point.step === anyStep || step.name === point.step);
  const isThere = point.step === anyStep || point.step === name;
  return isThere && counted.length === point.nth ? point.moment : null;
}

/** Every point at which a process that takes these steps can be killed. */
export function killPoints(steps: readonly Step[]): KillPoint[] {
  const counts = new Map<string, number>();
  return steps.flatMap(({ name, moments }) => {
    const nth = (counts.get(name) ?? 0) + 1;
    counts.set(name, nth);
    return (["before", ...moments] as const).map((moment) => ({ step: name, nth, moment }));
  });
}

/** Describes the point at which a process dies. */
export function describePoint({ step, nth, moment }: KillPoint): string {
  return `${moment} ${step}${nth === 1 ? "" : ` (${nth})`}`;
}

const longestName = 100;

/** Parts of step names that differ in each life, and their replacements. */
const varying: readonly [pattern: RegExp, word: string][] = [
  [/(?:\/var)?\/tmp\/[A-Za-z-]+-\w+/g, ""],
  [/\.seed-\w{6}\b/g, ".seed"],
  [/\bjob-[0-9a-z]+/g, "job-ID"],
  [/\bt[0-9a-f]{16}\b/g, "ID"],
  [/\bsol[0-9a-f]{6}v\d+/g, "CARD"],
  [/\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b/g, "MAC"],
  [/\b\d{3,}\b/g, "NUMBER"],
  [/\s+/g, " "],
];

/** Names a step by what it does, so that the same step of another life has the same name. */
export function nameStep(what: string): string {
  const name = varying.reduce((text, [pattern, word]) => text.replaceAll(pattern, word), what);
  return name.slice(0, longestName);
}
