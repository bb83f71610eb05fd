import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type pg from "pg";
import { finalStates } from "../../src/core/job/job-state.ts";
import type { ReadMessage } from "../support/servers/broker.ts";
import type { Attempt } from "./attempts.ts";

/** Checks that every valid request has exactly one job, and that this job has exactly one verdict. */
export async function assertVerdicts(database: pg.Client, requestIds: readonly string[]): Promise<void> {
  const { rows } = await database.query<{ request_id: string; state: string; verdict_reason: string | null }>(
    "select request_id, state, verdict_reason from jobs",
  );
  const wanted = requestIds.toSorted();
  assert.deepEqual(rows.map((row) => row.request_id).sort(), wanted, "one job for each valid request");
  for (const row of rows) {
    assert.ok((finalStates as readonly string[]).includes(row.state), `${row.request_id} is ${row.state}`);
    assert.notEqual(row.verdict_reason, null);
  }
  const ends = await database.query<{ job_id: string; ends: string }>(
    "select job_id, count(*) as ends from job_transitions where to_state = any($1) group by job_id",
    [[...finalStates]],
  );
  assert.equal(ends.rows.length, wanted.length, "jobs with a verdict on record");
  for (const { job_id, ends: count } of ends.rows) assert.equal(Number(count), 1, `verdicts of ${job_id}`);
}

/**
 * Checks that jobs that ran while nothing was broken took one attempt, which succeeded, and that every host ran some
 * of them.
 */
export async function assertCalm(
  database: pg.Client,
  attempts: readonly Attempt[],
  calm: { requestIds: ReadonlySet<string>; hosts: number },
): Promise<void> {
  const { rows } = await database.query<{ id: string }>("select id from jobs where request_id = any($1)", [
    [...calm.requestIds],
  ]);
  const ids = new Set(rows.map((row) => row.id));
  const own = attempts.filter(({ jobId }) => ids.has(jobId));
  for (const { jobId, attempt, end } of own) {
    assert.deepEqual([attempt, end], [1, "succeeded"], `${jobId}, which nothing disturbed`);
  }
  assert.equal(new Set(own.map(({ hostId }) => hostId)).size, calm.hosts, "hosts that took part");
}

/** Checks that each malformed message was dead-lettered with its reason, and recorded once. */
export async function assertRejected(
  database: pg.Client,
  deadLetters: readonly ReadMessage[],
  malformed: readonly Buffer[],
): Promise<void> {
  const wanted = malformed.map(digestOf).sort();
  const dead = new Set(deadLetters.map(({ body }) => digestOf(body)));
  for (const { headers, body } of deadLetters) {
    const shown = body.toString("utf8", 0, 200);
    assert.ok(wanted.includes(digestOf(body)), `valid messages were dead-lettered: ${shown}`);
    assert.match(String(headers["x-solstice-reason"] ?? ""), /^[a-z_]{5,}$/, `a reason for ${shown}`);
  }
  assert.deepEqual([...dead].sort(), wanted, "dead letters");
  const { rows } = await database.query<{ id: string }>("select id from rejected_messages");
  assert.deepEqual(rows.map(({ id }) => id).sort(), wanted, "rejected messages");
}

function digestOf(body: Buffer): string {
  return createHash("sha256").update(body).digest("hex");
}

/**
 * Checks that no machine is recorded as present, no step as unfinished, no attempt as active, and no result as
 * unpublished.
 */
export async function assertNothingLeft(database: pg.Client, attempts: number): Promise<void> {
  const { rows } = await database.query<Record<string, number>>(
    `select (select count(*)::int from machines where state <> 'gone') as machines,
            (select count(*)::int from machines) as attempts,
            (select count(*)::int from steps where state in ('pending', 'running')) as steps,
            (select count(*)::int from outbox where published_at is null) as unpublished,
            (select count(*)::int from jobs where finished_at is null) as active`,
  );
  assert.deepEqual(rows[0], { machines: 0, attempts, steps: 0, unpublished: 0, active: 0 });
}

/** Checks that, for every attempt whose runner finished, all bytes that the runner counted are stored. */
export async function assertLogs(database: pg.Client): Promise<void> {
  const { rows } = await database.query<{
    job_id: string;
    reported: string;
    received: string;
    stored: string;
  }>(
    `select machines.job_id, log_length as reported, logs.received,
            (select coalesce(sum(length), 0) from log_chunks
             where log_chunks.job_id = machines.job_id and log_chunks.attempt = machines.attempt
             and log_chunks.stream = 'output') as stored
     from machines join logs on logs.job_id = machines.job_id and logs.attempt = machines.attempt
     where runner_finished_at is not null and logs.stream = 'output'`,
  );
  assert.notEqual(rows.length, 0, "there are logs");
  for (const { job_id, reported, received, stored } of rows) {
    assert.deepEqual([received, stored], [reported, reported], `bytes of the log of ${job_id}`);
  }
}
