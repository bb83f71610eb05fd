import type { HandlerContext } from "@connectrpc/connect";
import { SolsticeError } from "../core/errors.ts";
import type { Job, Machine } from "../core/job.ts";
import { getJob } from "../store/jobs.ts";
import { bindSession, findBySession, touchRunner } from "../store/machines.ts";
import type { Store } from "../store/store.ts";
import { bearerToken, hashToken } from "./bearer.ts";

/** A guest that proved who it is: its machine, and its job, which is in this machine's attempt. */
export interface RunnerSession {
  readonly machine: Machine;
  readonly job: Job;
}

/** A sign of life is written at most this often for each machine; each one is a write to the disk. */
const touchIntervalMs = 1000;

/** How many machines' last signs of life are remembered; far above what a host can run. */
const rememberedTouches = 1000;

/** The bearer token's hash. Refuses a call without one, in the same words as one with a wrong one. */
export function presentedHash(context: HandlerContext): string {
  const token = bearerToken(context.requestHeader.get("authorization"));
  if (token === null) throw refusedGuest();
  return hashToken(token);
}

/** The session a session token's hash belongs to. Wrong, outdated and foreign tokens are all refused alike. */
export async function authenticate(store: Store, sessionTokenHash: string): Promise<RunnerSession> {
  return sessionOf(store, await findBySession(store, sessionTokenHash));
}

/** Binds the token a runner chose to the attempt whose bootstrap token it presents. Repeats with the same are fine. */
export async function bind(
  store: Store,
  hashes: { bootstrapTokenHash: string; sessionTokenHash: string; at: number },
): Promise<RunnerSession> {
  return sessionOf(store, await bindSession(store, hashes));
}

async function sessionOf(store: Store, machine: Machine | null): Promise<RunnerSession> {
  const job = machine && (await getJob(store, machine.jobId));
  if (!machine || !job || job.attempt !== machine.attempt) throw refusedGuest();
  return { machine, job };
}

/** The one answer to every token that does not fit, so that guessing teaches nothing. */
export function refusedGuest(): SolsticeError {
  return new SolsticeError("guest_refused", "The token is not one of a running job.");
}

/** Records signs of life, thinned out. */
export class SignsOfLife {
  readonly #store: Store;
  readonly #recordedAt = new Map<string, number>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Records that the machine's runner called at `at`, unless that was recorded within the last second. */
  async record({ jobId, attempt }: Machine, at: number): Promise<void> {
    const key = `${jobId}/${attempt}`;
    if (at - (this.#recordedAt.get(key) ?? Number.NEGATIVE_INFINITY) < touchIntervalMs) return;
    this.#remember(key, at);
    await touchRunner(this.#store, { jobId, attempt, at });
  }

  /** A Map keeps the order of insertion: the first key is the one that was silent for longest. */
  #remember(key: string, at: number): void {
    this.#recordedAt.delete(key);
    this.#recordedAt.set(key, at);
    const [oldest] = this.#recordedAt.keys();
    if (this.#recordedAt.size > rememberedTouches && oldest !== undefined) this.#recordedAt.delete(oldest);
  }
}
