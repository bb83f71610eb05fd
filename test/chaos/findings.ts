import assert from "node:assert/strict";
import type pg from "pg";
import { finalStates } from "../../src/core/job-state.ts";
import type { Messages } from "./messages.ts";
import type { Taken } from "./publisher.ts";

/** What a host may run at once. */
export interface HostCaps {
  readonly hostId: string;
  readonly maxConcurrency: number;
  readonly labelCaps: Readonly<Record<string, number>>;
}

/** A change of a job's state, read by plain SQL. */
interface Change {
  readonly job_id: string;
  readonly attempt: number;
  readonly to_state: string;
  readonly at: number;
  readonly host_id: string | null;
  readonly label: string;
}

/** Every valid request has exactly one job, which has exactly one verdict, and every attempt has its own host. */
export async function assertOneVerdictEach(database: pg.Client, messages: Messages): Promise<void> {
  const { rows } = await database.query<{ request_id: string; state: string; verdict_reason: string | null }>(
    "select request_id, state, verdict_reason from jobs",
  );
  const wanted = messages.requests.map((request) => request.request_id).sort();
  assert.deepEqual(rows.map((row) => row.request_id).sort(), wanted, "one job for each valid request");
  for (const row of rows) {
    assert.ok((finalStates as readonly string[]).includes(row.state), `${row.request_id} is ${row.state}`);
    assert.notEqual(row.verdict_reason, null);
  }
  const ends = await database.query<{ job_id: string; ends: string }>(
    "select job_id, count(*) as ends from job_transitions where to_state = any($1) group by job_id",
    [[...finalStates]],
  );
  assert.equal(ends.rows.length, wanted.length);
  for (const { job_id, ends: count } of ends.rows) assert.equal(Number(count), 1, `verdicts of ${job_id}`);
}

/** Each outbox row was published, and each job's result can be read in the queue; a repeat says the same again. */
export async function assertResultsPublished(
  database: pg.Client,
  results: readonly Taken[],
): Promise<{ repeated: number }> {
  const { rows } = await database.query<{
    id: string;
    request_id: string;
    state: string;
    published: boolean;
  }>(
    `select jobs.id, request_id, state, published_at is not null as published
     from jobs left join outbox on outbox.job_id = jobs.id`,
  );
  const byJob = new Map<string, Taken[]>();
  for (const result of results) {
    const id = result.messageId ?? "";
    byJob.set(id, [...(byJob.get(id) ?? []), result]);
  }
  for (const row of rows) {
    assert.ok(row.published, `the result of ${row.id} is not published`);
    const own = byJob.get(row.id) ?? [];
    assert.ok(own.length > 0, `the result of ${row.id} is not in the queue`);
    const documents = own.map(({ body }) => JSON.parse(body.toString()) as Record<string, unknown>);
    for (const document of documents) {
      assert.equal(document.request_id, row.request_id);
      assert.equal(document.state, row.state);
      assert.deepEqual(document, documents[0], "a repeated result says the same");
    }
  }
  assert.equal(byJob.size, rows.length, "results of jobs that are not there");
  return { repeated: results.length - rows.length };
}

/** Each malformed message was dead-lettered with its reason, and is on record once. */
export async function assertRejected(
  database: pg.Client,
  deadLetters: readonly Taken[],
  messages: Messages,
): Promise<void> {
  const wanted = messages.malformed.map((body) => body.toString("base64")).sort();
  const dead = new Set(deadLetters.map(({ body }) => body.toString("base64")));
  assert.deepEqual([...dead].sort(), wanted, "dead letters");
  for (const { headers, body } of deadLetters) {
    assert.ok(headers["x-solstice-reason"], `a reason for ${body.toString("utf8", 0, 80)}`);
  }
  const { rows } = await database.query<{ body: Buffer }>("select body from rejected_messages");
  assert.deepEqual(rows.map(({ body }) => body.toString("base64")).sort(), wanted, "rejected messages");
}

/** At no moment did a host have more active jobs than it may, in all and of a label. */
export async function assertCapsHeld(database: pg.Client, hosts: readonly HostCaps[]): Promise<void> {
  const { rows } = await database.query<Change>(
    `select job_id, job_transitions.attempt, to_state, at::float8 as at, job_transitions.host_id, label
     from job_transitions join jobs on jobs.id = job_id where job_transitions.attempt > 0
     order by at`,
  );
  for (const host of hosts) {
    const spans = spansOf(rows.filter((row) => row.host_id === host.hostId));
    assert.ok(
      mostAtOnce(spans) <= host.maxConcurrency,
      `${host.hostId} ran ${mostAtOnce(spans)} jobs at once`,
    );
    for (const [label, cap] of Object.entries(host.labelCaps)) {
      const most = mostAtOnce(spans.filter((span) => span.label === label));
      assert.ok(most <= cap, `${host.hostId} ran ${most} jobs of ${label} at once, and may run ${cap}`);
    }
  }
}

interface Span {
  readonly label: string;
  readonly from: number;
  readonly to: number;
}

/** From the claim of an attempt to the end of it: the time in which it occupied a slot. */
function spansOf(changes: readonly Change[]): Span[] {
  const open = new Map<string, Change>();
  const spans: Span[] = [];
  for (const change of changes) {
    const key = `${change.job_id}/${change.attempt}`;
    if (change.to_state === "provisioning") open.set(key, change);
    const started = open.get(key);
    const ends = change.to_state === "queued" || (finalStates as readonly string[]).includes(change.to_state);
    if (started === undefined || !ends) continue;
    spans.push({ label: change.label, from: started.at, to: change.at });
    open.delete(key);
  }
  assert.equal(open.size, 0, "attempts without an end");
  return spans;
}

/** The most spans that overlap. One that ends in a millisecond makes room for one that begins in it. */
function mostAtOnce(spans: readonly Span[]): number {
  const edges = spans.flatMap(({ from, to }) => [
    { at: from, change: 1 },
    { at: Math.max(to, from), change: -1 },
  ]);
  edges.sort((a, b) => a.at - b.at || a.change - b.change);
  let now = 0;
  return edges.reduce((most, { change }) => {
    now += change;
    return Math.max(most, now);
  }, 0);
}

/** No machine is on record as present, no attempt runs, and no result waits. */
export async function assertNothingLeft(database: pg.Client): Promise<void> {
  const { rows } = await database.query<{ machines: string; unpublished: string; active: string }>(
    `select (select count(*) from machines where state <> 'gone') as machines,
            (select count(*) from outbox where published_at is null) as unpublished,
            (select count(*) from jobs where finished_at is null) as active`,
  );
  assert.deepEqual(rows[0], { machines: "0", unpublished: "0", active: "0" });
}
