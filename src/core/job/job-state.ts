/** Every state of a job, in the order of its life. The last five are final. */
export const jobStates = [
  "queued",
  "provisioning",
  "booting",
  "running",
  "finalizing",
  "succeeded",
  "failed",
  "timed_out",
  "cancelled",
  "infra_error",
] as const;

/** One state of {@link jobStates}. */
export type JobState = (typeof jobStates)[number];

/** The states a job never leaves. */
export const finalStates = ["succeeded", "failed", "timed_out", "cancelled", "infra_error"] as const;

/** One state of {@link finalStates}. */
export type FinalState = (typeof finalStates)[number];

/** The states in which a job occupies a slot: from its claim until everything it owned is gone. */
export const activeStates = [
  "provisioning",
  "booting",
  "running",
  "finalizing",
] as const satisfies JobState[];

/** One state of {@link activeStates}. */
export type ActiveState = (typeof activeStates)[number];

/**
 * Events in the life of a job.
 * - `claim`: a host takes it. `boot`: its domain runs. `start`: its runner called `Start`.
 * - `conclude`: the verdict is known (the first one counts); the machine must be removed.
 * - `requeue`: everything is removed and another attempt is due.
 * - `settle_*`: everything is removed (or never existed), and the verdict becomes the job's state.
 */
export const jobEvents = [
  "claim",
  "boot",
  "start",
  "conclude",
  "requeue",
  "settle_succeeded",
  "settle_failed",
  "settle_timed_out",
  "settle_cancelled",
  "settle_infra_error",
] as const;

/** One event of {@link jobEvents}. */
export type JobEvent = (typeof jobEvents)[number];

/** Answer of a state to an event: the next state, `ignore` (a harmless repeat) or `refuse` (a defect). */
export type TransitionAnswer = JobState | "ignore" | "refuse";

const settle = {
  settle_succeeded: "succeeded",
  settle_failed: "failed",
  settle_timed_out: "timed_out",
  settle_cancelled: "cancelled",
  settle_infra_error: "infra_error",
} as const;

const settleRefused = {
  settle_succeeded: "refuse",
  settle_failed: "refuse",
  settle_timed_out: "refuse",
  settle_cancelled: "refuse",
  settle_infra_error: "refuse",
} as const;

/** A final state keeps its verdict: late repeats from the guest or a loop change nothing; a claim is a defect. */
const final = {
  claim: "refuse",
  boot: "refuse",
  start: "refuse",
  conclude: "ignore",
  requeue: "refuse",
  ...settleRefused,
} as const;

/** The whole life of a job as data: each state's answer to each event. A test walks every pair. */
export const transitions: Readonly<Record<JobState, Readonly<Record<JobEvent, TransitionAnswer>>>> = {
  queued: {
    claim: "provisioning",
    boot: "refuse",
    start: "refuse",
    conclude: "refuse",
    requeue: "ignore",
    ...settleRefused,
    // A queued job owns nothing, so these two need no clean-up: cancelled while waiting, or its image is unavailable.
    settle_cancelled: "cancelled",
    settle_infra_error: "infra_error",
  },
  provisioning: {
    claim: "refuse",
    boot: "booting",
    // The guest may call before the host has recorded its start: the call is the better proof.
    start: "running",
    conclude: "finalizing",
    requeue: "refuse",
    ...settleRefused,
  },
  booting: {
    claim: "refuse",
    boot: "ignore",
    start: "running",
    conclude: "finalizing",
    requeue: "refuse",
    ...settleRefused,
  },
  running: {
    claim: "refuse",
    boot: "ignore",
    start: "ignore",
    conclude: "finalizing",
    requeue: "refuse",
    ...settleRefused,
  },
  finalizing: {
    claim: "refuse",
    boot: "ignore",
    start: "ignore",
    conclude: "ignore",
    requeue: "queued",
    ...settle,
  },
  succeeded: final,
  failed: final,
  timed_out: final,
  cancelled: final,
  infra_error: final,
};

/** The answer of `state` to `event`. */
export function transition(state: JobState, event: JobEvent): TransitionAnswer {
  return transitions[state][event];
}

/** True when a job in `state` never changes again. */
export function isFinal(state: JobState): state is FinalState {
  return (finalStates as readonly string[]).includes(state);
}

/** True when a job in `state` occupies a slot on its host. */
export function isActive(state: JobState): state is ActiveState {
  return (activeStates as readonly string[]).includes(state);
}
