import type { HandlerContext } from "@connectrpc/connect";
import { bearerToken, hashToken } from "../access/bearer.ts";
import { SolsticeError } from "../core/errors.ts";
import type { Job, Machine } from "../core/job/job.ts";
import { skipsCleanup } from "../core/job/lifecycle.ts";
import { findBySession } from "../store/jobs/attempts.ts";
import { touchRunner } from "../store/jobs/machines.ts";
import type { Store } from "../store/store.ts";

/** A guest that proved who it is: its machine, and its job, which is in this machine's attempt. */
export interface RunnerSession {
  readonly machine: Machine;
  readonly job: Job;
}

/** A sign of life is written at most this often for each machine; each one is a write to the disk. */
const touchIntervalMs = 1000;

/** The bearer token's hash. Refuses a call without one, in the same words as one with a wrong one. */
export function presentedHash(context: HandlerContext): string {
  const token = bearerToken(context.requestHeader.get("authorization"));
  if (token === null) throw refusedGuest();
  return hashToken(token);
}

/** The session a session token's hash belongs to. Wrong, outdated and foreign tokens are all refused alike. */
export async function authenticate(store: Store, sessionTokenHash: string): Promise<RunnerSession> {
  const session = await findBySession(store, sessionTokenHash);
  if (session === null) throw refusedGuest();
  return session;
}

/** The one answer to every token that does not fit, so that guessing teaches nothing. */
export function refusedGuest(): SolsticeError {
  return new SolsticeError("guest_refused", "The token is not one of a running job.");
}

/** Records that the machine's runner called at `at`, unless less than a second has passed since it last did. */
export async function noteSignOfLife(store: Store, machine: Machine, at: number): Promise<void> {
  const { jobId, attempt, runnerSeenAt } = machine;
  if (runnerSeenAt === null || at - runnerSeenAt >= touchIntervalMs) {
    await touchRunner(store, { jobId, attempt, at });
  }
}

/** Whether a runner is to end now: a job that is out of time, or whose host shuts down, is finalizing. */
export function mustStop(job: Job): boolean {
  return job.state === "finalizing" || job.cancelRequestedAt !== null;
}

/** What every answer about the log and the steps says of the end: see `AppendLogResponse`. */
export function stopOf(job: Job): { stop: boolean; stopNow: boolean } {
  const stop = mustStop(job);
  return { stop, stopNow: stop && skipsCleanup(job) };
}
