import type { Transaction } from "kysely";
import type { Job } from "../../core/job/job.ts";
import { toJob } from "../rows.ts";
import type { Database } from "../schema/schema.ts";
import type { Store } from "../store.ts";
import type { AttemptRecord } from "./attempts.ts";
import { applyWithin } from "./job-changes.ts";
import { bindWithin, type SessionCall } from "./machines.ts";

/**
 * A runner's first call, in one transaction: binds its session as {@link bindWithin} does, and moves the job to `running`.
 * `accept` gets the job before that; when it throws, nothing was written. Null for whoever is not let in.
 */
export function startSession(
  store: Store,
  call: SessionCall & { readonly accept: (job: Job) => void },
): Promise<AttemptRecord | null> {
  return store.write(async (trx, announce) => {
    // The job's row before the machine's, as everywhere: the host writes that the guest has power at the same moment, and
    // two that lock crosswise wait for each other's time limit.
    const seen = await lockJobOf(store, trx, call.bootstrapTokenHash);
    if (seen === null) return null;
    const machine = await bindWithin(trx, announce, call);
    if (machine === null) return null;
    const { jobId, attempt, hostId: holder } = machine;
    call.accept(seen);
    const change = { jobId, attempt, event: "start", at: call.at, holder, seen } as const;
    const job = await applyWithin({ store, trx, announce }, change);
    return job && { job, machine };
  });
}

/** The job that a one-time token is of; nobody else changes it before the commit. */
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
    // Where writers run side by side; SQLite's come one after the other.
    .$if(store.canSkipLocked, (query) => query.forUpdate())
    .executeTakeFirst();
  return row === undefined ? null : toJob(row);
}
