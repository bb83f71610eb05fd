import type { Selectable, Transaction } from "kysely";
import { type Machine, type MachineState, machineStates, type RunnerFailure } from "../../core/job/job.ts";
import type { JobState } from "../../core/job/job-state.ts";
import type { AttemptKey } from "../keys.ts";
import { toMachine } from "../rows.ts";
import type { Database, MachinesTable } from "../schema/schema.ts";
import type { Store, Wake } from "../store.ts";
import { jobUnderWay, presentStates } from "./fence.ts";
import { type HoldOrder, holdColumns } from "./holds.ts";

/** The states of a job whose runner may open its session. */
const connectableStates = ["provisioning", "booting", "running"] as const satisfies JobState[];

/** The states of a machine whose runner may open its session. */
const openStates = ["intended", "created", "running"] as const satisfies MachineState[];

/** Maximum number of machines of one host that are listed: far above what one host can run. */
const maxMachinesListed = 10_000;

/** The machine record of an attempt, or null. */
export async function getMachine(store: Store, key: AttemptKey): Promise<Machine | null> {
  const row = await store.db
    .selectFrom("machines")
    .selectAll()
    .where("job_id", "=", key.jobId)
    .where("attempt", "=", key.attempt)
    .executeTakeFirst();
  return toMachineOrNull(row);
}

/** Moves the record forward. A repeat, or an earlier state, changes nothing. */
export async function setMachineState(
  store: Store,
  change: AttemptKey & { state: MachineState; at: number },
): Promise<void> {
  await store.write(async (trx, announce) => {
    if (await moveWithin(trx, change)) announce({ kind: "job", jobId: change.jobId });
  });
}

/** {@link setMachineState} as a part of a larger write; true when the record changed. */
export async function moveWithin(
  trx: Transaction<Database>,
  change: AttemptKey & { state: MachineState; at: number },
): Promise<boolean> {
  const earlier = machineStates.slice(0, machineStates.indexOf(change.state));
  if (earlier.length === 0) return false;
  const result = await trx
    .updateTable("machines")
    .set({ state: change.state, state_since_at: change.at })
    .where("job_id", "=", change.jobId)
    .where("attempt", "=", change.attempt)
    .where("state", "in", earlier)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** The machines of `hostId` that may still exist, of any attempt. */
export async function listMachines(store: Store, hostId: string): Promise<Machine[]> {
  const rows = await store.db
    .selectFrom("machines")
    .selectAll()
    .where("host_id", "=", hostId)
    .where("state", "in", presentStates)
    .orderBy("job_id")
    .orderBy("attempt")
    .limit(maxMachinesListed)
    .execute();
  return rows.map(toMachine);
}

/**
 * The hosts that may still have guests of a job's earlier attempts: they were lost before they removed these guests.
 */
export async function formerHosts(
  store: Store,
  job: { readonly id: string; readonly attempt: number },
): Promise<string[]> {
  const rows = await store.db
    .selectFrom("machines")
    .select("host_id")
    .distinct()
    .where("job_id", "=", job.id)
    .where("attempt", "<", job.attempt)
    .where("state", "in", presentStates)
    .execute();
  return rows.map((row) => row.host_id);
}

/** A runner's first call. */
export interface SessionCall {
  readonly bootstrapTokenHash: string;
  readonly sessionTokenHash: string;
  readonly at: number;
}

/**
 * A runner's first call: exchanges the seed's one-time token for a session that the runner chose. The first call binds;
 * a repeat with the same session gets the same machine. Null for any other caller: an unknown token, a second session,
 * a machine that is being removed, or a job that is not at this attempt. `provisioning` is accepted, since a guest may
 * call before the host has recorded that it boots.
 */
export async function bindWithin(
  trx: Transaction<Database>,
  announce: (wake: Wake) => void,
  call: SessionCall,
): Promise<Machine | null> {
  const bound = await trx
    .updateTable("machines")
    .set({
      session_token_hash: call.sessionTokenHash,
      // A guest that calls is running, even if its host has not recorded that yet.
      state: "running",
      runner_started_at: call.at,
      runner_seen_at: call.at,
    })
    .where("bootstrap_token_hash", "=", call.bootstrapTokenHash)
    .where("session_token_hash", "is", null)
    .where("state", "in", openStates)
    .where((where) =>
      where.exists(
        where
          .selectFrom("jobs")
          .select("jobs.id")
          .whereRef("jobs.id", "=", "machines.job_id")
          .whereRef("jobs.attempt", "=", "machines.attempt")
          .where("jobs.state", "in", connectableStates),
      ),
    )
    .returningAll()
    .executeTakeFirst();
  if (bound !== undefined) {
    announce({ kind: "job", jobId: bound.job_id });
    return toMachine(bound);
  }
  const repeated = await trx
    .selectFrom("machines")
    .innerJoin("jobs", (join) =>
      join.onRef("jobs.id", "=", "machines.job_id").onRef("jobs.attempt", "=", "machines.attempt"),
    )
    .selectAll("machines")
    .where("machines.bootstrap_token_hash", "=", call.bootstrapTokenHash)
    .where("machines.session_token_hash", "=", call.sessionTokenHash)
    .where("machines.state", "in", openStates)
    .where("jobs.state", "in", connectableStates)
    .executeTakeFirst();
  return toMachineOrNull(repeated);
}

/** Records a runner's heartbeat. Sends no wake: only a missing heartbeat matters, and loops detect that by time. */
export async function touchRunner(store: Store, call: AttemptKey & { at: number }): Promise<void> {
  await store.write(async (trx) => {
    await trx
      .updateTable("machines")
      .set({ runner_seen_at: call.at })
      .where("job_id", "=", call.jobId)
      .where("attempt", "=", call.attempt)
      .execute();
  });
}

/** The data of a runner's `Finish` about its attempt. */
export interface RunnerFinish extends AttemptKey {
  readonly at: number;
  readonly exitCode: number;
  /** The failure that decides instead of an exit code; null without one. */
  readonly failure: RunnerFailure | null;
  readonly failureDetail?: string | null;
  /** Length in bytes and SHA-256 (hex) of the whole output, as the guest counted it. */
  readonly logLength: number;
  readonly logSha256: string;
  /** Set when the job requested that its guest is kept after a failure. */
  readonly hold?: HoldOrder;
}

/**
 * Records a `Finish`. The first call wins; false when there was one before, when no such machine exists, or when the
 * attempt is over.
 */
export async function recordFinish(store: Store, finish: RunnerFinish): Promise<boolean> {
  return store.write(async (trx, announce) => {
    const { hold: requested, at } = finish;
    const hold = requested ? await holdColumns(trx, { requested, at, locks: store.canSkipLocked }) : {};
    const result = await trx
      .updateTable("machines")
      .set({
        ...hold,
        runner_finished_at: finish.at,
        runner_seen_at: finish.at,
        runner_exit_code: finish.exitCode,
        runner_failure: finish.failure,
        runner_failure_detail: finish.failureDetail ?? null,
        log_length: finish.logLength,
        log_sha256: finish.logSha256,
      })
      .where("job_id", "=", finish.jobId)
      .where("attempt", "=", finish.attempt)
      .where("runner_finished_at", "is", null)
      .where("job_id", "in", jobUnderWay(store, finish))
      .executeTakeFirst();
    const onHold = hold.hold_until_at !== undefined;
    if (result.numUpdatedRows > 0n) announce({ kind: "job", jobId: finish.jobId, ...(onHold && { onHold }) });
    return result.numUpdatedRows > 0n;
  });
}

function toMachineOrNull(row: Selectable<MachinesTable> | undefined): Machine | null {
  return row === undefined ? null : toMachine(row);
}
