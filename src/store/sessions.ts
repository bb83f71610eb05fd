import type { Job } from "../core/job.ts";
import type { AttemptRecord } from "./attempts.ts";
import { applyWithin } from "./job-changes.ts";
import { bindWithin, type SessionCall } from "./machines.ts";
import { toJob } from "./rows.ts";
import type { Store } from "./store.ts";

/**
 * A runner's first call, in one transaction: binds its session as `bindSession` does, and moves the job to `running`.
 * `accept` gets the job before that; when it throws, nothing was written. Null for whoever is not let in.
 */
export function startSession(
  store: Store,
  call: SessionCall & { readonly accept: (job: Job) => void },
): Promise<AttemptRecord | null> {
  return store.write(async (trx, announce) => {
    const machine = await bindWithin(trx, announce, call);
    if (machine === null) return null;
    const { jobId, attempt, hostId: holder } = machine;
    const row = await trx.selectFrom("jobs").selectAll().where("id", "=", jobId).executeTakeFirst();
    if (row === undefined) return null;
    const seen = toJob(row);
    call.accept(seen);
    const change = { jobId, attempt, event: "start", at: call.at, holder, seen } as const;
    const job = await applyWithin(trx, announce, change);
    return job && { job, machine };
  });
}
