import type { HandlerContext } from "@connectrpc/connect";
import { bearerToken, hashToken } from "../access/bearer.ts";
import { SolsticeError } from "../core/errors.ts";
import type { Job, Machine } from "../core/job/job.ts";
import { skipsCleanup } from "../core/job/lifecycle.ts";
import { findBySession } from "../store/jobs/attempts.ts";
import { touchRunner } from "../store/jobs/machines.ts";
import type { Store } from "../store/store.ts";

/** An authenticated guest: its machine, and its job in this machine's attempt. */
export interface RunnerSession {
  readonly machine: Machine;
  readonly job: Job;
}

/** Minimum milliseconds between recorded heartbeats of a machine, because each is a write to disk. */
const touchIntervalMs = 1000;

/** The hash of the bearer token. A call without a token is refused with the same message as a wrong token. */
export function presentedHash(context: HandlerContext): string {
  const token = bearerToken(context.requestHeader.get("authorization"));
  if (token === null) throw refusedGuest();
  return hashToken(token);
}

/**
 * The session of a session token's hash. Wrong, outdated and foreign tokens are refused with the same error.
 */
export async function authenticate(store: Store, sessionTokenHash: string): Promise<RunnerSession> {
  const session = await findBySession(store, sessionTokenHash);
  if (session === null) throw refusedGuest();
  return session;
}

/** The same error for every invalid token, so that guessing reveals nothing. */
export function refusedGuest(): SolsticeError {
  return new SolsticeError("guest_refused", "The token does not belong to a running job.");
}

/** Records a heartbeat of the machine's runner at `at`, unless the last one is less than a second old. */
export async function noteSignOfLife(store: Store, machine: Machine, at: number): Promise<void> {
  const { jobId, attempt, runnerSeenAt } = machine;
  if (runnerSeenAt === null || at - runnerSeenAt >= touchIntervalMs) {
    await touchRunner(store, { jobId, attempt, at });
  }
}

/** True when a runner must end now: a job that timed out, or whose host shuts down, is finalizing. */
export function mustStop(job: Job): boolean {
  return job.state === "finalizing" || job.cancelRequestedAt !== null;
}

/** The stop fields of every answer about the log and the steps: see `AppendLogResponse`. */
export function stopOf(job: Job): { stop: boolean; stopNow: boolean } {
  const stop = mustStop(job);
  return { stop, stopNow: stop && skipsCleanup(job) };
}
