/** The findings read a small history that keeps every promise, and the same history with one defect. */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import pg from "pg";
import { silentLog } from "../../src/core/log.ts";
import { openPostgresStore } from "../../src/store/postgres/open.ts";
import type { ReadMessage } from "../support/servers/broker.ts";
import { startPrivatePostgres } from "../support/servers/private-postgres.ts";
import { assertCaps, readAttempts } from "./attempts.ts";
import { assertCalm, assertLogs, assertNothingLeft, assertRejected, assertVerdicts } from "./findings.ts";
import { assertResults } from "./results.ts";

const server = await startPrivatePostgres();
const databaseUrl = await server.createDatabase();
const store = await openPostgresStore({
  url: databaseUrl,
  waitSeconds: 0,
  log: silentLog,
  recordsResults: true,
});
await store.close();
const client = new pg.Client({ connectionString: databaseUrl });
await client.connect();
after(async () => {
  await client.end();
  await server.stop();
});

const malformed = [Buffer.from("nonsense")];

/** Job `calm` takes one attempt on host a; job `taken` loses host a, and succeeds on host b. */
const history = `
insert into jobs (id, request_id, request, state, state_since_at, image, label, cpu, ram_mb, disk_gb, fair_key, priority,
  timeout_seconds, attempt, max_attempts, host_id, verdict_reason, submitted_at, finished_at, source)
select id, 'request-' || id, '{}', 'succeeded', 0, 'image', 'red', 1, 1, 1, 'key', 0, 1, attempt, 2, host, 'completed', 0, 9, 'api'
from (values ('calm', 1, 'a'), ('taken', 2, 'b')) as known (id, attempt, host);
insert into job_transitions (job_id, attempt, from_state, to_state, at, host_id)
values ('calm', 0, null, 'queued', 0, null), ('taken', 0, null, 'queued', 0, null),
  ('calm', 1, 'queued', 'provisioning', 1, 'a'), ('calm', 1, 'provisioning', 'booting', 2, 'a'),
  ('calm', 1, 'booting', 'running', 3, 'a'), ('calm', 1, 'running', 'finalizing', 4, 'a'),
  ('calm', 1, 'finalizing', 'succeeded', 5, 'a'),
  ('taken', 1, 'queued', 'provisioning', 1, 'a'), ('taken', 1, 'provisioning', 'finalizing', 6, 'a'),
  ('taken', 1, 'finalizing', 'queued', 6, 'a'),
  ('taken', 2, 'queued', 'provisioning', 7, 'b'), ('taken', 2, 'provisioning', 'running', 8, 'b'),
  ('taken', 2, 'running', 'finalizing', 8, 'b'), ('taken', 2, 'finalizing', 'succeeded', 9, 'b');
update job_transitions set reason = 'completed' where from_state = 'finalizing';
update job_transitions set reason = 'host_lost' where job_id = 'taken' and attempt = 1;
insert into machines (job_id, attempt, host_id, backend, state, state_since_at, bootstrap_token_hash, runner_finished_at,
  log_length)
values ('calm', 1, 'a', 'noop', 'gone', 5, 'one', 4, 7), ('taken', 1, 'a', 'noop', 'gone', 6, 'two', null, null),
  ('taken', 2, 'b', 'noop', 'gone', 9, 'three', 8, 0);
insert into steps (job_id, attempt, step_index, name, state) values ('calm', 1, 0, 'build', 'succeeded');
insert into logs (job_id, attempt, stream, received) values ('calm', 1, 'output', 7), ('taken', 2, 'output', 0);
insert into log_chunks (job_id, attempt, stream, start_offset, length, encoding, data)
values ('calm', 1, 'output', 0, 7, 'plain', 'seven b');
insert into outbox (job_id, created_at, published_at) values ('calm', 5, 6), ('taken', 9, 10);
insert into rejected_messages (id, received_at, reason, message, host_id, body, body_bytes, times)
values (encode(sha256('nonsense'), 'hex'), 1, 'usage', 'no', 'a', 'nonsense', 8, 1);
`;

function resultOf(id: string, change: object = {}): ReadMessage {
  const attempt = id === "calm" ? 1 : 2;
  const document = {
    ...{ request_id: `request-${id}`, job_id: id, state: "succeeded", reason: "completed" },
    transitions: [{ attempt, to: "succeeded", at: 9 }],
    ...change,
  };
  return { messageId: id, headers: {}, body: Buffer.from(JSON.stringify(document)) };
}

const goodResults = [resultOf("calm"), resultOf("taken"), resultOf("taken")];
const deadLetter = {
  messageId: null,
  headers: { "x-solstice-reason": "usage" },
  body: Buffer.from("nonsense"),
};

interface Found {
  readonly results?: readonly ReadMessage[];
  readonly dead?: readonly ReadMessage[];
  readonly cap?: number;
}

/** Runs all findings on the history after the statement `spoil`, which is rolled back. */
async function runFindings(spoil: string, found: Found = {}): Promise<void> {
  await client.query("begin");
  try {
    await client.query(history);
    await client.query(spoil);
    await assertVerdicts(client, ["request-taken", "request-calm"]);
    const attempts = await readAttempts(client);
    assertCaps(attempts, [{ hostId: "a", maxConcurrency: found.cap ?? 2, labelCaps: { red: 2 } }]);
    await assertCalm(client, attempts, { requestIds: new Set(["request-calm"]), hosts: 1 });
    await assertNothingLeft(client, attempts.length);
    await assertLogs(client);
    await assertResults(client, found.results ?? goodResults, new Set(["request-calm"]));
    await assertRejected(client, found.dead ?? [deadLetter], malformed);
  } finally {
    await client.query("rollback");
  }
}

test("a history that keeps every promise passes", () => runFindings(""));

const change = (set: string, job: string, attempt: number, state: string) =>
  `update job_transitions set ${set} where job_id = '${job}' and attempt = ${attempt} and to_state = '${state}'`;

const spoilt: readonly [what: string, spoil: string, finding: RegExp][] = [
  ["a job is lost", "delete from jobs where id = 'calm'", /one job for each valid request/],
  ["a job has not ended", "update jobs set state = 'running' where id = 'calm'", /request-calm is running/],
  [
    "an attempt ended for a reason that no fault explains",
    "update job_transitions set reason = 'provision_failed' where to_state = 'queued' and attempt = 1",
    /attempt 1 of taken ended by provision_failed/,
  ],
  [
    "a job has two verdicts",
    "insert into job_transitions (job_id, attempt, from_state, to_state, at) values ('calm', 1, 'succeeded', 'failed', 9)",
    /verdicts of calm/,
  ],
  [
    "a job has a second verdict while it waits",
    change("from_state = 'queued'", "calm", 1, "succeeded"),
    /two branches in|a gap in/,
  ],
  [
    "a change is missing",
    "delete from job_transitions where job_id = 'calm' and to_state = 'running'",
    /gap/,
  ],
  [
    "an attempt never ended",
    "delete from job_transitions where to_state = 'queued' and attempt = 1",
    /no end/,
  ],
  ["an attempt has two hosts", change("host_id = 'b'", "calm", 1, "running"), /several hosts/],
  ["two attempts overlap", change("at = 5", "taken", 2, "provisioning"), /overlap/],
  ["an attempt is missing", "update job_transitions set attempt = 3 where attempt = 2", /attempts of taken/],
  ["a slot was never used", change("at = 5", "taken", 1, "provisioning"), /never ran more than 1 jobs/],
  [
    "an undisturbed job failed",
    "update job_transitions set to_state = 'failed' where job_id = 'calm' and to_state = 'succeeded'",
    /calm, which nothing disturbed/,
  ],
  ["a machine is open", "update machines set state = 'running' where job_id = 'calm'", /machines: 1/],
  ["a machine has no record", "delete from machines where job_id = 'taken' and attempt = 1", /attempts: 2/],
  ["a step is open", "update steps set state = 'running'", /steps: 1/],
  ["a log lacks bytes", "update log_chunks set length = 6", /bytes of the log of calm/],
  [
    "a result is not published",
    "update outbox set published_at = null where job_id = 'taken'",
    /unpublished: 1/,
  ],
  ["a result was never written", "delete from outbox where job_id = 'taken'", /taken is not published/],
  ["a refused message is not on record", "delete from rejected_messages", /rejected messages/],
];

for (const [what, spoil, finding] of spoilt) {
  test(`found: ${what}`, () => assert.rejects(runFindings(spoil), finding));
}

const wrong: readonly [what: string, found: Found, finding: RegExp][] = [
  ["too many at once", { cap: 1 }, /ran 2 jobs at once, and may run 1/],
  ["a result is lost", { results: goodResults.slice(1) }, /calm is not in the queue/],
  [
    "an undisturbed result comes twice",
    { results: [...goodResults, resultOf("calm")] },
    /results of calm, which nothing/,
  ],
  [
    "a repeat says something else",
    { results: [...goodResults, resultOf("taken", { exit_code: 1 })] },
    /has the same content/,
  ],
  [
    "a result is wrong",
    { results: [resultOf("calm", { state: "failed" }), ...goodResults.slice(1)] },
    /failed/,
  ],
  ["a result has no job", { results: [...goodResults, resultOf("other")] }, /jobs that do not exist/],
  ["a dead letter is lost", { dead: [] }, /dead letters/],
  ["a dead letter has no reason", { dead: [{ ...deadLetter, headers: {} }] }, /a reason for nonsense/],
  [
    "a valid message is dead-lettered",
    { dead: [deadLetter, { ...deadLetter, body: Buffer.from("{}") }] },
    /valid messages were dead-lettered/,
  ],
];

for (const [what, found, finding] of wrong) {
  test(`found: ${what}`, () => assert.rejects(runFindings("", found), finding));
}
