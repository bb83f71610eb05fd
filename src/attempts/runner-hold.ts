import { SolsticeError } from "../core/errors.ts";
import { holdEndsAt } from "../core/job/hold.ts";
import type { HoldRequest } from "../gen/solstice/v1/runner_pb.ts";
import type { Store } from "../store/store.ts";
import { listenForWakes } from "../store/wakes.ts";
import { authenticate, noteSignOfLife, type RunnerSession } from "./runner-sessions.ts";

/** The requested shells in guests on hold. */
export interface ShellOrders {
  /**
   * The order for a shell in a job's guest, in the form of `HoldResponse.shell`; empty when no shell is
   * requested.
   */
  orderFor(jobId: string): string;
}

/** The dependencies of {@link createHoldCalls}. */
export interface HoldContext {
  readonly store: Store;
  readonly now: () => number;
  readonly shells: ShellOrders;
  /** Heartbeat interval of a runner, in seconds; a call waits at most half of it. */
  readonly heartbeatSeconds: number;
}

/** Maximum number of waiting calls. Each guest has one: a second call ends the first. */
const waitingMax = 128;

/**
 * Answers a runner on hold when its state changes: a new order for a shell, or the end of the hold. These
 * calls are its heartbeats. A runner that is not on hold receives stop at once.
 */
export function createHoldCalls(context: HoldContext) {
  const waiting = new Map<string, AbortController>();
  return async (request: HoldRequest, call: { tokenHash: string; signal: AbortSignal }) => {
    if (waiting.size >= waitingMax)
      throw new SolsticeError("limit_exceeded", "Too many calls of guests on hold wait. Retry.");
    waiting
      .get(call.tokenHash)
      ?.abort(new SolsticeError("conflict", "A newer Hold call of this runner replaced this one."));
    const replaced = new AbortController();
    waiting.set(call.tokenHash, replaced);
    try {
      const signal = AbortSignal.any([call.signal, replaced.signal]);
      return await answer(context, { ...call, signal, lastShell: request.shell });
    } finally {
      if (waiting.get(call.tokenHash) === replaced) waiting.delete(call.tokenHash);
    }
  };
}

async function answer(
  { store, now, shells, heartbeatSeconds }: HoldContext,
  { tokenHash, signal, lastShell }: { tokenHash: string; signal: AbortSignal; lastShell: string },
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
    if (shell !== lastShell || leftMs <= 0) return { stop: false, shell };
    const holdLeftMs = (machine.holdUntilAt ?? 0) - now();
    await wakes.next({ timeoutMs: Math.max(0, Math.min(leftMs, holdLeftMs)), signal });
  }
}

/** True when a guest that ended its job must power off: its hold is over, or it never had one. */
export function isHoldOver({ job, machine }: RunnerSession, now: number): boolean {
  return holdEndsAt(job, machine, now) === null;
}

/** The remaining hold of a guest, in whole seconds; 0: no hold. */
export function holdSecondsLeft({ job, machine }: RunnerSession, now: number): number {
  const endsAt = holdEndsAt(job, machine, now);
  return endsAt === null ? 0 : Math.ceil((endsAt - now) / 1000);
}
