import assert from "node:assert/strict";
import type pg from "pg";
import type { ReadMessage } from "../support/servers/broker.ts";

interface EndedRow {
  readonly id: string;
  readonly request_id: string;
  readonly state: string;
  readonly verdict_reason: string;
  readonly attempt: number;
  readonly published: boolean;
}

/**
 * Checks that each outbox row was published, and that the result of each job is in the queue; a repeated result has
 * the same content. Results of `calm` requests, which ended while nothing was broken, are there exactly once. Returns
 * the number of repeated results.
 */
export async function assertResults(
  database: pg.Client,
  results: readonly ReadMessage[],
  calm: ReadonlySet<string>,
): Promise<number> {
  const { rows } = await database.query<EndedRow>(
    `select jobs.id, request_id, state, verdict_reason, attempt, published_at is not null as published
     from jobs left join outbox on outbox.job_id = jobs.id`,
  );
  const resultsOf = Map.groupBy(results, (result) => result.messageId ?? "");
  for (const row of rows) {
    assert.ok(row.published, `the result of ${row.id} is not published`);
    const own = resultsOf.get(row.id) ?? [];
    assert.ok(own.length > 0, `the result of ${row.id} is not in the queue`);
    if (calm.has(row.request_id))
      assert.equal(own.length, 1, `results of ${row.id}, which nothing disturbed`);
    assertSay(row, own);
  }
  assert.equal(resultsOf.size, rows.length, "results of jobs that do not exist");
  return results.length - rows.length;
}

function assertSay(row: EndedRow, results: readonly ReadMessage[]): void {
  const [first, ...others] = results.map(
    ({ body }) => JSON.parse(body.toString()) as Record<string, unknown>,
  );
  assert.ok(first);
  const { request_id, job_id, state, reason, transitions } = first;
  assert.deepEqual(
    { request_id, job_id, state, reason },
    { request_id: row.request_id, job_id: row.id, state: row.state, reason: row.verdict_reason },
  );
  const last = (transitions as { attempt: number; to: string }[]).at(-1);
  assert.deepEqual([last?.attempt, last?.to], [row.attempt, row.state], `the last transition of ${row.id}`);
  for (const other of others) assert.deepEqual(other, first, "a repeated result has the same content");
}
