import { setImmediate as nextTurn } from "node:timers/promises";
import { type ExpressionBuilder, sql, type Transaction } from "kysely";
import { machineStates } from "../../core/job/job.ts";
import { finalStates } from "../../core/job/job-state.ts";
import type { LogKey } from "../keys.ts";
import type { Database } from "../schema/schema.ts";
import type { Store } from "../store.ts";

/** Jobs of one call: limits its queries, and the transaction that removes the jobs. */
const jobsPerStep = 50;

/** Rows of a log that one transaction deletes: 16 MiB at most. */
const chunksPerStep = 16;

/**
 * The bytes of a log larger than this are removed first, in separate steps, so that no transaction becomes very large.
 */
const largeLogBytes = 256 * 1024;

/** Rows of `logs` summed up by one query. */
const logsPerSum = 2000;

const presentStates = machineStates.filter((state) => state !== "gone");

/** A position in the list of finished jobs, oldest first. */
export interface FinishedPlace {
  readonly finishedAt: number;
  readonly jobId: string;
}

/** Result of one step of retention. Call again with `next` until that is null. */
export interface RetentionStep {
  /** Number of removed jobs or logs. */
  readonly removed: number;
  readonly next: FinishedPlace | null;
}

/** Selects the finished jobs that are old enough to be removed, in ms since the epoch. */
interface Expiry {
  readonly before: number;
  /** True when jobs with an unpublished result are kept; false when no broker is configured any more. */
  readonly awaitsPublishing: boolean;
}

/**
 * Deletes some of the jobs that finished before `before`, oldest first, with everything that belongs to them. Jobs with
 * an unpublished result are kept, and jobs with a machine that may still exist. The machine of a host that was lost
 * before `before` counts as gone: if that host comes back, it removes the guest as one without a job. Several hosts may
 * do this at once. Afterwards the same `request_id` is a new job.
 */
export async function deleteFinishedJobs(
  store: Store,
  options: Expiry & { readonly at: number; readonly after: FinishedPlace | null },
): Promise<RetentionStep> {
  const page = await finishedJobs(store, options);
  const ids = page.map((job) => job.jobId);
  for (const log of await logsOf(store, { jobIds: ids, largerThan: largeLogBytes })) {
    if (await isDeletable(store, log.jobId, options)) await expireLog(store, log, options.at);
  }
  const removed = await store.write(async (trx) => {
    let count = 0;
    // One by one in the order of ids: then two hosts wait for each other instead of deadlocking.
    for (const id of ids.toSorted()) count += await deleteJob(trx, id, options);
    return count;
  });
  return { removed, next: nextPlace(page) };
}

/**
 * Removes the bytes of some finished jobs' logs, oldest first, until about `bytes` are freed; the jobs stay, and their
 * logs record when they were removed. `freed` is the number of bytes that this call freed.
 */
export async function expireOldestLogs(
  store: Store,
  options: { readonly bytes: number; readonly at: number; readonly after: FinishedPlace | null },
): Promise<RetentionStep & { readonly freed: number }> {
  const page = await finishedJobs(store, { before: options.at, after: options.after });
  const order = new Map(page.map((job, index) => [job.jobId, index]));
  const logs = await logsOf(store, { jobIds: [...order.keys()], largerThan: 0 });
  logs.sort((a, b) => (order.get(a.jobId) ?? 0) - (order.get(b.jobId) ?? 0));
  let freed = 0;
  let removed = 0;
  for (const log of logs) {
    if (freed >= options.bytes) break;
    await expireLog(store, log, options.at);
    freed += log.storedBytes;
    removed += 1;
  }
  return { removed, freed, next: nextPlace(page) };
}

/**
 * Bytes that all logs take in the store, after compression. Reads in small pieces, so that other work is not blocked; a
 * running total would make every append of every host write the same row.
 */
export async function sumLogBytes(store: Store): Promise<number> {
  let total = 0;
  let last: LogKey = { jobId: "", attempt: 0, stream: "console" };
  for (;;) {
    const rows = await store.db
      .selectFrom("logs")
      .select(["job_id", "attempt", "stream", "stored_bytes"])
      .where(sql<boolean>`(job_id, attempt, stream) > (${last.jobId}, ${last.attempt}, ${last.stream})`)
      .orderBy("job_id")
      .orderBy("attempt")
      .orderBy("stream")
      .limit(logsPerSum)
      .execute();
    for (const row of rows) total += row.stored_bytes;
    const end = rows.at(-1);
    if (end === undefined || rows.length < logsPerSum) return total;
    last = { jobId: end.job_id, attempt: end.attempt, stream: end.stream };
    await nextTurn();
  }
}

async function finishedJobs(
  store: Store,
  range: { readonly before: number; readonly after: FinishedPlace | null },
): Promise<FinishedPlace[]> {
  const { before, after } = range;
  const finished = store.db
    .selectFrom("jobs")
    .select(["id", "finished_at"])
    .where("finished_at", "<", before);
  const rest =
    after === null
      ? finished
      : finished.where(sql<boolean>`(finished_at, id) > (${after.finishedAt}, ${after.jobId})`);
  const rows = await rest.orderBy("finished_at").orderBy("id").limit(jobsPerStep).execute();
  return rows.map((row) => ({ jobId: row.id, finishedAt: row.finished_at ?? 0 }));
}

function nextPlace(page: readonly FinishedPlace[]): FinishedPlace | null {
  return page.length < jobsPerStep ? null : (page.at(-1) ?? null);
}

/**
 * Condition: the job is no longer needed. It has ended, its machines are gone, and its result is published (or never
 * will be).
 */
function isOver(job: ExpressionBuilder<Database, "jobs">, { before, awaitsPublishing }: Expiry) {
  const present = job
    .selectFrom("machines")
    .select("machines.job_id")
    .whereRef("machines.job_id", "=", "jobs.id")
    .where("machines.state", "in", presentStates)
    .where((machine) => machine.not(machine.exists(lostHost(machine, before))));
  const unpublished = job
    .selectFrom("outbox")
    .select("outbox.job_id")
    .whereRef("outbox.job_id", "=", "jobs.id")
    .where("outbox.published_at", "is", null);
  return job.and([
    job("jobs.state", "in", finalStates),
    job.not(job.exists(present)),
    ...(awaitsPublishing ? [job.not(job.exists(unpublished))] : []),
  ]);
}

/** The machine's host, if it was lost before `before` and has not come back. */
function lostHost(machine: ExpressionBuilder<Database, "machines">, before: number) {
  return machine
    .selectFrom("hosts")
    .select("hosts.id")
    .whereRef("hosts.id", "=", "machines.host_id")
    .where("hosts.lost_at", "<", before);
}

async function isDeletable(store: Store, jobId: string, expiry: Expiry): Promise<boolean> {
  const found = store.db
    .selectFrom("jobs")
    .select("id")
    .where("id", "=", jobId)
    .where((job) => isOver(job, expiry));
  return (await found.executeTakeFirst()) !== undefined;
}

/** Deletes the row of `jobs`, and by cascade everything else. Returns 1 when the row was deleted, otherwise 0. */
async function deleteJob(trx: Transaction<Database>, jobId: string, expiry: Expiry): Promise<number> {
  const deleted = await trx
    .deleteFrom("jobs")
    .where("id", "=", jobId)
    .where("finished_at", "<", expiry.before)
    .where((job) => isOver(job, expiry))
    .executeTakeFirst();
  return Number(deleted.numDeletedRows);
}

interface StoredLog extends LogKey {
  readonly storedBytes: number;
}

async function logsOf(
  store: Store,
  wanted: { readonly jobIds: readonly string[]; readonly largerThan: number },
): Promise<StoredLog[]> {
  if (wanted.jobIds.length === 0) return [];
  const rows = await store.db
    .selectFrom("logs")
    .select(["job_id", "attempt", "stream", "stored_bytes"])
    .where("job_id", "in", wanted.jobIds)
    .where("stored_bytes", ">", wanted.largerThan)
    .execute();
  return rows.map((row) => ({
    jobId: row.job_id,
    attempt: row.attempt,
    stream: row.stream,
    storedBytes: row.stored_bytes,
  }));
}

/**
 * Removes a log's rows in small transactions. The first one records that the log is removed; a repeat continues where
 * an earlier call ended.
 */
async function expireLog(store: Store, log: LogKey, at: number): Promise<void> {
  for (let isEmpty = false; !isEmpty; ) isEmpty = await store.write((trx) => expirePiece(trx, log, at));
}

/** Returns true when no row is left. */
async function expirePiece(trx: Transaction<Database>, log: LogKey, at: number): Promise<boolean> {
  const offsets = await rowsOf(trx, log).limit(chunksPerStep).execute();
  const last = offsets.at(-1);
  const isEmpty = offsets.length < chunksPerStep;
  await trx
    .updateTable("logs")
    .set((expression) => ({
      expired_at: expression.fn.coalesce("expired_at", expression.val(at)),
      ...(isEmpty && { stored_bytes: 0 }),
    }))
    .where("job_id", "=", log.jobId)
    .where("attempt", "=", log.attempt)
    .where("stream", "=", log.stream)
    .execute();
  if (last === undefined) return true;
  await trx
    .deleteFrom("log_chunks")
    .where("job_id", "=", log.jobId)
    .where("attempt", "=", log.attempt)
    .where("stream", "=", log.stream)
    .where("start_offset", "<=", last.start_offset)
    .execute();
  return isEmpty;
}

function rowsOf(trx: Transaction<Database>, log: LogKey) {
  return trx
    .selectFrom("log_chunks")
    .select("start_offset")
    .where("job_id", "=", log.jobId)
    .where("attempt", "=", log.attempt)
    .where("stream", "=", log.stream)
    .orderBy("start_offset");
}
