import type { Selectable } from "kysely";
import type { Job, Machine } from "../../core/job/job.ts";
import { activeStates } from "../../core/job/job-state.ts";
import type { AttemptKey } from "../keys.ts";
import { toJob, toMachine } from "../rows.ts";
import type { JobsTable, MachinesTable } from "../schema/schema.ts";
import type { Store } from "../store.ts";
import { presentStates } from "./fence.ts";
import { moveWithin } from "./machines.ts";
import { closeStepsWithin } from "./steps.ts";

/** A job in its current attempt, and that attempt's machine. */
export interface AttemptRecord {
  readonly job: Job;
  readonly machine: Machine;
}

/** The columns of a machine except its key, under names that a job's columns do not use. */
const machineColumns = [
  "machines.host_id as machine_host_id",
  "machines.backend as machine_backend",
  "machines.state as machine_state",
  "machines.state_since_at as machine_state_since_at",
  "machines.bootstrap_token_hash as machine_bootstrap_token_hash",
  "machines.session_token_hash as machine_session_token_hash",
  "machines.runner_started_at as machine_runner_started_at",
  "machines.runner_seen_at as machine_runner_seen_at",
  "machines.runner_finished_at as machine_runner_finished_at",
  "machines.runner_exit_code as machine_runner_exit_code",
  "machines.runner_failure as machine_runner_failure",
  "machines.runner_failure_detail as machine_runner_failure_detail",
  "machines.log_length as machine_log_length",
  "machines.log_sha256 as machine_log_sha256",
  "machines.hold_until_at as machine_hold_until_at",
  "machines.hold_released_at as machine_hold_released_at",
  "machines.hold_refusal as machine_hold_refusal",
] as const;

type MachineColumn = Exclude<keyof MachinesTable, "job_id" | "attempt">;
type AttemptRow = Selectable<JobsTable> & {
  [Column in MachineColumn as `machine_${Column}`]: Selectable<MachinesTable>[Column];
};

/**
 * The job and its machine in one statement, since a host reads them very often. Null before the job's first attempt.
 */
export async function loadAttempt(store: Store, jobId: string): Promise<AttemptRecord | null> {
  const row = await joined(store).where("jobs.id", "=", jobId).executeTakeFirst();
  return row === undefined ? null : toAttempt(row);
}

/**
 * The attempt whose runner has this session; only while the machine may exist and the attempt is in progress. A job
 * that was taken over from a lost host waits under the old attempt's number: the old attempt's guest is then rejected.
 */
export async function findBySession(store: Store, sessionTokenHash: string): Promise<AttemptRecord | null> {
  const row = await joined(store)
    .where("machines.session_token_hash", "=", sessionTokenHash)
    .where("machines.state", "in", presentStates)
    .where("jobs.state", "in", activeStates)
    .executeTakeFirst();
  return row === undefined ? null : toAttempt(row);
}

/** The two tokens of an attempt: the token in its seed, and the token that its runner chose. */
export type RunnerTokenKind = "bootstrap" | "session";

/**
 * True when the hash is of a token of an attempt in progress. Reads one column: cheap enough for calls of strangers.
 */
export async function hasRunnerToken(store: Store, kind: RunnerTokenKind, hash: string): Promise<boolean> {
  const column = kind === "session" ? "machines.session_token_hash" : "machines.bootstrap_token_hash";
  const row = await store.db
    .selectFrom("jobs")
    .innerJoin("machines", (join) =>
      join.onRef("machines.job_id", "=", "jobs.id").onRef("machines.attempt", "=", "jobs.attempt"),
    )
    .select("jobs.id")
    .where(column, "=", hash)
    .where("machines.state", "in", presentStates)
    .where("jobs.state", "in", activeStates)
    .executeTakeFirst();
  return row !== undefined;
}

/**
 * Records that nothing of an attempt is left on its host: closes its steps and sets its machine to `gone`. Idempotent.
 */
export async function closeAttempt(store: Store, attempt: AttemptKey & { at: number }): Promise<void> {
  await store.write(async (trx, announce) => {
    const hadSteps = await closeStepsWithin(trx, attempt);
    const hadMachine = await moveWithin(trx, { ...attempt, state: "gone" });
    if (hadSteps || hadMachine) announce({ kind: "job", jobId: attempt.jobId });
  });
}

function joined(store: Store) {
  return store.db
    .selectFrom("jobs")
    .innerJoin("machines", (join) =>
      join.onRef("machines.job_id", "=", "jobs.id").onRef("machines.attempt", "=", "jobs.attempt"),
    )
    .selectAll("jobs")
    .select(machineColumns);
}

function toAttempt(row: AttemptRow): AttemptRecord {
  const machine = toMachine({
    job_id: row.id,
    attempt: row.attempt,
    host_id: row.machine_host_id,
    backend: row.machine_backend,
    state: row.machine_state,
    state_since_at: row.machine_state_since_at,
    bootstrap_token_hash: row.machine_bootstrap_token_hash,
    session_token_hash: row.machine_session_token_hash,
    runner_started_at: row.machine_runner_started_at,
    runner_seen_at: row.machine_runner_seen_at,
    runner_finished_at: row.machine_runner_finished_at,
    runner_exit_code: row.machine_runner_exit_code,
    runner_failure: row.machine_runner_failure,
    runner_failure_detail: row.machine_runner_failure_detail,
    log_length: row.machine_log_length,
    log_sha256: row.machine_log_sha256,
    hold_until_at: row.machine_hold_until_at,
    hold_released_at: row.machine_hold_released_at,
    hold_refusal: row.machine_hold_refusal,
  });
  return { job: toJob(row), machine };
}
