import { randomUUID } from "node:crypto";
import type { Job, Machine } from "../../core/job/job.ts";
import { type VerdictReason, verdict } from "../../core/job/verdict.ts";
import { parseJobRequest } from "../../core/request/job-request.ts";
import { applyEvent, claimJob, insertJob, type NewJob } from "../jobs/jobs.ts";
import { bindWithin, type SessionCall } from "../jobs/machines.ts";
import type { Store, Wake } from "../store.ts";

/** The host that claims in these tests. */
export const hostId = "host-a";

/** A job as intake creates it, with defaults except for `given`. */
export function newJob(id: string, given: Partial<NewJob> = {}): NewJob {
  const request = parseJobRequest({ request_id: randomUUID(), script: "make test" });
  const size = { cpu: 2, ramMb: 2048, diskGb: 10 };
  return {
    id,
    request,
    label: "debian-12",
    image: "debian",
    size,
    fairKey: "owner/repository",
    priority: 0,
    timeoutSeconds: 3600,
    maxAttempts: 2,
    submittedAt: 1000,
    ...given,
  };
}

/** Claims a waiting job for {@link hostId}; its bootstrap token hash is `boot-ID-ATTEMPT`. */
export async function claim(store: Store, jobId: string, at = 2000): Promise<Job | null> {
  return claimJob(store, {
    jobId,
    hostId,
    at,
    backend: "noop",
    prepare: () => ({ bootstrapTokenHash: `boot-${jobId}-${at}`, stepNames: ["checkout", "build"] }),
  });
}

/** Inserts a job and claims it. */
export async function insertClaimed(store: Store, id: string, given: Partial<NewJob> = {}): Promise<Job> {
  await insertJob(store, newJob(id, given));
  return (await claim(store, id)) as Job;
}

/** Concludes and settles the first attempt of a claimed job, at `at`. */
export async function end(
  store: Store,
  jobId: string,
  reason: VerdictReason,
  at = 9000,
): Promise<Job | null> {
  const ended = verdict(reason, `Ended: ${reason}.`, reason === "completed" ? 0 : null);
  await applyEvent(store, { jobId, attempt: 1, event: "conclude", at, verdict: ended });
  return applyEvent(store, { jobId, attempt: 1, event: `settle_${ended.state}`, at });
}

/** Opens a runner's session alone; the product also starts the job in the same write. */
export function bindSession(store: Store, call: SessionCall): Promise<Machine | null> {
  return store.write((trx, announce) => bindWithin(trx, announce, call));
}

/** The wakes of a store, collected from now on. */
export function wakesOf(store: Store): Wake[] {
  const wakes: Wake[] = [];
  store.subscribe((wake) => wakes.push(wake));
  return wakes;
}
