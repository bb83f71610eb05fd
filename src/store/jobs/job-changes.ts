import type { ExpressionBuilder, Transaction } from "kysely";
import { SolsticeError } from "../../core/errors.ts";
import type { Backend, Job, MachineState } from "../../core/job/job.ts";
import {
  activeStates,
  isActive,
  isFinal,
  type JobEvent,
  type JobState,
  transition,
} from "../../core/job/job-state.ts";
import { usesNoAttempt, type Verdict, verdict, verdictReasons } from "../../core/job/verdict.ts";
import { toJob, verdictColumns } from "../rows.ts";
import type { Database } from "../schema/schema.ts";
import type { JobWake, OpenWrite, Store } from "../store.ts";
import { moveWithin } from "./machines.ts";
import { recordResult } from "./record-result.ts";

/** Number of times that another process may change the job between our read and our write before we give up. */
const maxRaces = 20;

/** The initial data of an attempt. */
export interface NewAttempt {
  readonly bootstrapTokenHash: string;
  readonly stepNames: readonly string[];
}

/**
 * Claims a waiting job for a host, in one transaction: the next attempt, its machine recorded as `intended`, its steps
 * `pending`. Null when the job does not wait any more, or when the host was declared lost: other hosts would not take
 * over its jobs before its lease is renewed.
 */
export async function claimJob(
  store: Store,
  claim: {
    jobId: string;
    hostId: string;
    at: number;
    backend: Backend;
    /** Returns the data to record for the job's new attempt. */
    prepare: (job: Job) => NewAttempt;
  },
): Promise<Job | null> {
  return store.write(async (trx, announce) => {
    const row = await trx
      .updateTable("jobs")
      .set((expression) => ({
        state: "provisioning" as const,
        state_since_at: claim.at,
        claimed_at: claim.at,
        attempt: expression("attempt", "+", 1),
        host_id: claim.hostId,
        ...verdictColumns(null),
      }))
      .where("id", "=", claim.jobId)
      .where("state", "=", "queued")
      .where(holdsLease(claim.hostId))
      .$if(store.canSkipLocked, (query) => query.where("id", "in", freeJob(claim.jobId)))
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) return null;
    const job = toJob(row);
    await recordTransition(trx, { job, from: "queued", at: claim.at, reason: null });
    await insertAttempt(trx, job, { ...claim, ...claim.prepare(job) });
    announce({ kind: "job", jobId: job.id });
    return job;
  });
}

/**
 * Resolves when no earlier claim of these jobs can still be committed: a claim whose answer was lost with the
 * connection may still hold its row. Afterwards a read of the host's jobs is complete.
 */
export async function awaitClaims(store: Store, jobIds: readonly string[]): Promise<void> {
  for (const jobId of jobIds) {
    // Changes nothing, but waits for the row.
    await store.write((trx) =>
      trx
        .updateTable("jobs")
        .set((expression) => ({ state: expression.ref("state") }))
        .where("id", "=", jobId)
        .execute(),
    );
  }
}

/** The job, unless another claim holds its row now: that claim would win, so waiting for it is useless. */
function freeJob(jobId: string) {
  return (expression: ExpressionBuilder<Database, "jobs">) =>
    expression
      .selectFrom("jobs as free")
      .select("free.id")
      .where("free.id", "=", jobId)
      .where("free.state", "=", "queued")
      .forUpdate()
      .skipLocked();
}

/** False for a host that was declared lost; true for one that never registered, since no host can declare it lost. */
function holdsLease(hostId: string) {
  return (expression: ExpressionBuilder<Database, "jobs">) =>
    expression.not(
      expression.exists(
        expression
          .selectFrom("hosts")
          .select("hosts.id")
          .where("hosts.id", "=", hostId)
          .where("hosts.lost_at", "is not", null),
      ),
    );
}

async function insertAttempt(
  trx: Transaction<Database>,
  job: Job,
  claim: NewAttempt & { hostId: string; at: number; backend: Backend },
): Promise<void> {
  const key = { job_id: job.id, attempt: job.attempt };
  await trx
    .insertInto("machines")
    .values({
      ...key,
      host_id: claim.hostId,
      backend: claim.backend,
      state: "intended",
      state_since_at: claim.at,
      bootstrap_token_hash: claim.bootstrapTokenHash,
    })
    .execute();
  // One by one: the statement is the same for any number of steps, so it is prepared once.
  for (const [index, name] of claim.stepNames.entries()) {
    await trx
      .insertInto("steps")
      .values({ ...key, step_index: index, name, state: "pending" })
      .execute();
  }
}

/** A change of a job by {@link applyEvent}. */
export interface JobChange {
  readonly jobId: string;
  /** The attempt that the caller acts for; when it is over, nothing happens. */
  readonly attempt: number;
  readonly event: JobEvent;
  readonly at: number;
  /**
   * The host that sends the event, if the event is about a guest: nothing happens when the job is not active there any
   * more (it was taken over, and waits again under the same attempt).
   */
  readonly holder?: string;
  /** Required for `conclude`, and for settling from `queued`; otherwise replaces the stored one. */
  readonly verdict?: Verdict;
  /** The job as the caller has just read it: saves another read, unless the job has changed since. */
  readonly lastRead?: Job;
  /** The machine's state after the event; the record only moves forward. */
  readonly machine?: MachineState;
}

/**
 * Applies an event by the transition table, in one transaction. Returns the job after it (unchanged when the table says
 * `ignore`), or null when this attempt is not the current one any more. Throws `conflict` when the table refuses.
 */
export async function applyEvent(store: Store, change: JobChange): Promise<Job | null> {
  return store.write((trx, announce) => applyWithin({ store, trx, announce }, change));
}

/** {@link applyEvent} as a part of a larger write. */
export async function applyWithin(write: OpenWrite, change: JobChange): Promise<Job | null> {
  for (let race = 0; race < maxRaces; race += 1) {
    const lastRead = race === 0 ? usableRead(change) : null;
    const job = lastRead ?? (await currentAttempt(write.trx, change));
    if (job === null) return null;
    const next = transition(job.state, change.event);
    if (next === "refuse") throw refused(job, change.event);
    if (next === "ignore") return job;
    const changed = await changeState(write, { job, next, change });
    if (changed === null) continue;
    write.announce(wakeOf(changed));
    return changed;
  }
  throw new SolsticeError("conflict", `Job ${change.jobId} changed ${maxRaces} times during one write.`);
}

function wakeOf({ id: jobId, state }: Job): JobWake {
  if (state === "queued") return { kind: "queue", jobId, requeued: true };
  return { kind: "job", jobId, ...(isFinal(state) && { ended: true }) };
}

async function currentAttempt(trx: Transaction<Database>, change: JobChange): Promise<Job | null> {
  const row = await trx
    .selectFrom("jobs")
    .selectAll()
    .where("id", "=", change.jobId)
    .where("attempt", "=", change.attempt)
    .executeTakeFirst();
  return row === undefined ? null : held(toJob(row), change);
}

/** The job as the caller read it, if the event can change that; otherwise null, and the job is read again. */
function usableRead(change: JobChange): Job | null {
  const { lastRead } = change;
  if (lastRead === undefined || lastRead.attempt !== change.attempt || held(lastRead, change) === null)
    return null;
  const next = transition(lastRead.state, change.event);
  return next === "refuse" || next === "ignore" ? null : lastRead;
}

function held(job: Job, { holder }: JobChange): Job | null {
  return holder === undefined || (job.hostId === holder && isActive(job.state)) ? job : null;
}

function refused(job: Job, event: JobEvent): SolsticeError {
  return new SolsticeError("conflict", `Job ${job.id} is ${job.state}: ${event} is not possible.`);
}

/**
 * Writes a change of state with everything that is recorded about it; null when the job has changed since it was read.
 */
async function changeState(
  { store, trx }: OpenWrite,
  step: { job: Job; next: JobState; change: JobChange },
): Promise<Job | null> {
  const { job, next, change } = step;
  const ended = change.verdict ?? job.verdict;
  assertVerdict(change.event, next, ended);
  const retryIsFree = change.event === "requeue" && ended !== null && usesNoAttempt(ended.reason);
  const row = await trx
    .updateTable("jobs")
    .set({
      state: next,
      state_since_at: change.at,
      max_attempts: job.maxAttempts + (retryIsFree ? 1 : 0),
      finished_at: change.event.startsWith("settle_") ? change.at : null,
      ...verdictColumns(ended),
    })
    .where("id", "=", job.id)
    .where("attempt", "=", job.attempt)
    .where("state", "=", job.state)
    .returningAll()
    .executeTakeFirst();
  if (row === undefined) return null;
  const changed = toJob(row);
  const reason = ended?.reason ?? null;
  await recordTransition(trx, { job: changed, from: job.state, at: change.at, reason });
  if (store.recordsResults && isFinal(next)) await recordResult(trx, { jobId: job.id, endedAt: change.at });
  if (change.machine) await moveWithin(trx, { ...change, state: change.machine });
  return changed;
}

/** A caller that concludes without a verdict, or settles against it, has a defect. */
function assertVerdict(event: JobEvent, next: JobState, ended: Verdict | null): void {
  const settles = event.startsWith("settle_");
  if ((settles || event === "conclude") && ended === null) {
    throw new SolsticeError("internal", `${event} needs a verdict.`);
  }
  if (settles && ended !== null && verdictReasons[ended.reason] !== next) {
    throw new SolsticeError("internal", `${event} contradicts the verdict ${ended.reason}.`);
  }
}

async function recordTransition(
  trx: Transaction<Database>,
  change: { job: Job; from: JobState; at: number; reason: string | null },
): Promise<void> {
  await trx
    .insertInto("job_transitions")
    .values({
      job_id: change.job.id,
      attempt: change.job.attempt,
      from_state: change.from,
      to_state: change.job.state,
      at: change.at,
      host_id: change.job.hostId,
      reason: change.reason,
    })
    .execute();
}

/** A request to cancel a job. */
export interface CancelRequest {
  readonly jobId: string;
  readonly at: number;
  /** True when the job is to end without its always steps. */
  readonly now?: boolean;
}

/**
 * Records a cancellation. A waiting job owns nothing and is settled at once; an active job is stopped by the loops.
 * Only the first request of each kind counts, and final jobs do not change. Returns the job, or null when it does not
 * exist.
 */
export async function requestCancel(store: Store, requested: CancelRequest): Promise<Job | null> {
  return store.write(async (trx, announce) => {
    const changed = await recordCancelRequest(trx, requested);
    if (changed === null) {
      const row = await trx
        .selectFrom("jobs")
        .selectAll()
        .where("id", "=", requested.jobId)
        .executeTakeFirst();
      return row === undefined ? null : toJob(row);
    }
    announce({ kind: "job", jobId: requested.jobId });
    if (changed.state !== "queued") return changed;
    const { attempt } = changed;
    const ended = verdict("cancelled_by_user", "The job was cancelled while it waited.");
    const change = {
      jobId: requested.jobId,
      attempt,
      event: "settle_cancelled",
      at: requested.at,
      verdict: ended,
    } as const;
    return applyWithin({ store, trx, announce }, change);
  });
}

/** Null when there is nothing to record: the job does not exist or has ended, or the request was recorded before. */
async function recordCancelRequest(
  trx: Transaction<Database>,
  { jobId, at, now }: CancelRequest,
): Promise<Job | null> {
  const row = await trx
    .updateTable("jobs")
    .set((expression) => ({
      cancel_requested_at: expression.fn.coalesce("cancel_requested_at", expression.val(at)),
      ...(now && { cancel_now_at: at }),
    }))
    .where("id", "=", jobId)
    .where(now ? "cancel_now_at" : "cancel_requested_at", "is", null)
    .where("state", "in", ["queued", ...activeStates])
    .returningAll()
    .executeTakeFirst();
  return row === undefined ? null : toJob(row);
}
