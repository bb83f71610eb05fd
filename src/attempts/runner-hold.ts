import { SolsticeError } from "../core/errors.ts";
import { holdEndsAt } from "../core/job/hold.ts";
import type { HoldRequest } from "../gen/solstice/v1/runner_pb.ts";
import type { Store } from "../store/store.ts";
import { listenForWakes } from "../store/wakes.ts";
import { authenticate, noteSignOfLife, type RunnerSession } from "./runner-sessions.ts";

/** The shells that people want in guests on hold. */
export interface ShellOrders {
  /** The order for a job's guest in the words of `HoldResponse.shell`; empty where nobody wants a shell. */
  orderFor(jobId: string): string;
}

/** What {@link createHoldCalls} needs of the service. */
export interface HoldContext {
  readonly store: Store;
  readonly now: () => number;
  readonly shells: ShellOrders;
  /** How often a runner is to give a sign of life, in seconds: a call waits half as long at most. */
  readonly heartbeatSeconds: number;
}

/** Most calls that wait at a time. A guest has one: a second one ends the first. */
const waitingMax = 128;

/**
 * Answers a runner on hold when there is something new for it: another order for a shell, or the end of the hold. Its
 * calls are its signs of life. Whoever is not on hold is told to stop at once.
 */
export function createHoldCalls(context: HoldContext) {
  const waiting = new Map<string, AbortController>();
  return async (request: HoldRequest, call: { tokenHash: string; signal: AbortSignal }) => {
    if (waiting.size >= waitingMax)
      throw new SolsticeError("limit_exceeded", "Too many guests wait; call again.");
    waiting
      .get(call.tokenHash)
      ?.abort(new SolsticeError("conflict", "Another call of this runner took over."));
    const replaced = new AbortController();
    waiting.set(call.tokenHash, replaced);
    try {
      const signal = AbortSignal.any([call.signal, replaced.signal]);
      return await answer(context, { ...call, signal, seen: request.shell });
    } finally {
      if (waiting.get(call.tokenHash) === replaced) waiting.delete(call.tokenHash);
    }
  };
}

async function answer(
  { store, now, shells, heartbeatSeconds }: HoldContext,
  { tokenHash, signal, seen }: { tokenHash: string; signal: AbortSignal; seen: string },
) {
  let { machine } = await authenticate(store, tokenHash);
  const { jobId } = machine;
  await noteSignOfLife(store, machine, now());
  using wakes = listenForWakes(store, (wake) => wake.jobId === jobId && wake.kind !== "log");
  const answerAt = performance.now() + (heartbeatSeconds * 1000) / 2;
  for (;;) {
    const session = await authenticate(store, tokenHash);
    ({ machine } = session);
    const shell = shells.orderFor(jobId);
    if (isHoldOver(session, now())) return { stop: true, shell: "" };
    const leftMs = answerAt - performance.now();
    if (shell !== seen || leftMs <= 0) return { stop: false, shell };
    const holdLeftMs = (machine.holdUntilAt ?? 0) - now();
    await wakes.next({ timeoutMs: Math.max(0, Math.min(leftMs, holdLeftMs)), signal });
  }
}

/** Whether a guest that has ended its job is to go: its hold is over, or it never had one. */
export function isHoldOver({ job, machine }: RunnerSession, now: number): boolean {
  return holdEndsAt(job, machine, now) === null;
}

/** For how long a guest is still kept, in whole seconds; 0: not at all. */
export function holdSecondsLeft({ job, machine }: RunnerSession, now: number): number {
  const endsAt = holdEndsAt(job, machine, now);
  return endsAt === null ? 0 : Math.ceil((endsAt - now) / 1000);
}
