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

/** Another process may change the job between our read and our write this often before we give up. */
const maxRaces = 20;

/** What an attempt begins with. */
export interface NewAttempt {
  readonly bootstrapTokenHash: string;
  readonly stepNames: readonly string[];
}

/**
 * Takes a waiting job for a host, in one transaction: the next attempt, its machine on record as `intended`, its steps
 * `pending`. Null when the job does not wait any more, or when the host was declared lost: until its lease is renewed, others
 * would not look after what it holds.
 */
export async function claimJob(
  store: Store,
  claim: {
    jobId: string;
    hostId: string;
    at: number;
    backend: Backend;
    /** Says of the job, in its new attempt, what goes on record with it. */
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
 * Resolves when no claim of these jobs that began before can still be committed: a claim whose answer was lost, with the
 * connection, may still hold its row. Whoever then reads what a host holds reads the truth.
 */
export async function awaitClaims(store: Store, jobIds: readonly string[]): Promise<void> {
  for (const jobId of jobIds) {
    // Writing nothing, but waiting for the row.
    await store.write((trx) =>
      trx
        .updateTable("jobs")
        .set((expression) => ({ state: expression.ref("state") }))
        .where("id", "=", jobId)
        .execute(),
    );
  }
}

/** The job, unless somebody claims it at this moment: waiting for that to end would be waiting for a "no". */
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

/** False for a host that others declared lost; one that never registered has nobody to declare it so. */
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
  // One by one: the statement stays the same whatever the number of steps, so it is prepared once.
  for (const [index, name] of claim.stepNames.entries()) {
    await trx
      .insertInto("steps")
      .values({ ...key, step_index: index, name, state: "pending" })
      .execute();
  }
}

/** What {@link applyEvent} does to a job. */
export interface JobChange {
  readonly jobId: string;
  /** The attempt that the caller believes in; when it is over, nothing happens. */
  readonly attempt: number;
  readonly event: JobEvent;
  readonly at: number;
  /**
   * The host that brings it, where it is one that acts on a guest: when the job is not active there any more (it was taken
   * over, and waits again under the same attempt), nothing happens.
   */
  readonly holder?: string;
  /** Needed by `conclude`, and by settling from `queued`; elsewhere it replaces the stored one. */
  readonly verdict?: Verdict;
  /** The job as the caller has just read it: saves reading it again, unless it has changed since. */
  readonly seen?: Job;
  /** Where the attempt's machine has got to by that, forward only. */
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
    const seen = race === 0 ? seenAs(change) : null;
    const job = seen ?? (await currentAttempt(write.trx, change));
    if (job === null) return null;
    const next = transition(job.state, change.event);
    if (next === "refuse") throw refused(job, change.event);
    if (next === "ignore") return job;
    const changed = await changeState(write, { job, next, change });
    if (changed === null) continue;
    write.announce(wakeOf(changed));
    return changed;
  }
  throw new SolsticeError("conflict", `Job ${change.jobId} changed ${maxRaces} times while it was written.`);
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

/** The job as the caller saw it, where that lets the event change it; anything else is looked at again. */
function seenAs(change: JobChange): Job | null {
  const { seen } = change;
  if (seen === undefined || seen.attempt !== change.attempt || held(seen, change) === null) return null;
  const next = transition(seen.state, change.event);
  return next === "refuse" || next === "ignore" ? null : seen;
}

function held(job: Job, { holder }: JobChange): Job | null {
  return holder === undefined || (job.hostId === holder && isActive(job.state)) ? job : null;
}

function refused(job: Job, event: JobEvent): SolsticeError {
  return new SolsticeError("conflict", `Job ${job.id} is ${job.state}: ${event} is not possible.`);
}

/** Writes a change of state with all that is recorded of it; null when the job is not as it was read. */
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

/** A caller that concludes without a verdict, or settles against it, is a defect of ours. */
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

/** A wish that a job may end. */
export interface CancelRequest {
  readonly jobId: string;
  readonly at: number;
  /** Whether it is to end without the steps that always run. */
  readonly now?: boolean;
}

/**
 * Records that somebody wants the job stopped. One that waits owns nothing and is settled at once; the loops stop one
 * that is active. Only the first wish of each kind counts, and final jobs stay as they are. Returns the job, or null when
 * there is none.
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

/** Null when there is nothing to record: no such job, one that has ended, or the wish was known. */
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
