import type { Transaction } from "kysely";
import type { Job } from "../../core/job/job.ts";
import { toJob } from "../rows.ts";
import type { Database } from "../schema/schema.ts";
import type { Store } from "../store.ts";
import type { AttemptRecord } from "./attempts.ts";
import { applyWithin } from "./job-changes.ts";
import { bindWithin, type SessionCall } from "./machines.ts";

/**
 * A runner's first call, in one transaction: binds its session by {@link bindWithin}, and moves the job to `running`.
 * `accept` gets the job before that; if it throws, nothing is written. Null for a caller that is rejected.
 */
export function startSession(
  store: Store,
  call: SessionCall & { readonly accept: (job: Job) => void },
): Promise<AttemptRecord | null> {
  return store.write(async (trx, announce) => {
    // Locks the job's row before the machine's, like all other writes: the host records the guest's start at the same
    // moment, and two transactions that lock crosswise wait until the time limit.
    const locked = await lockJobOf(store, trx, call.bootstrapTokenHash);
    if (locked === null) return null;
    const machine = await bindWithin(trx, announce, call);
    if (machine === null) return null;
    const { jobId, attempt, hostId: holder } = machine;
    call.accept(locked);
    const change = { jobId, attempt, event: "start", at: call.at, holder, lastRead: locked } as const;
    const job = await applyWithin({ store, trx, announce }, change);
    return job && { job, machine };
  });
}

/** The job that a one-time token belongs to, locked until the commit. */
async function lockJobOf(
  store: Store,
  trx: Transaction<Database>,
  bootstrapTokenHash: string,
): Promise<Job | null> {
  const row = await trx
    .selectFrom("jobs")
    .selectAll()
    .where("id", "=", (machines) =>
      machines
        .selectFrom("machines")
        .select("machines.job_id")
        .where("machines.bootstrap_token_hash", "=", bootstrapTokenHash),
    )
    // Only where writers run concurrently; SQLite's run one after the other.
    .$if(store.canSkipLocked, (query) => query.forUpdate())
    .executeTakeFirst();
  return row === undefined ? null : toJob(row);
}
