import assert from "node:assert/strict";
import type pg from "pg";
import { finalStates } from "../../src/core/job/job-state.ts";

/** The limits on what a host may run at the same time. */
export interface HostCaps {
  readonly hostId: string;
  readonly maxConcurrency: number;
  readonly labelCaps: Readonly<Record<string, number>>;
}

/** A change of a job's state, read by plain SQL. */
interface Change {
  readonly job_id: string;
  readonly attempt: number;
  readonly from_state: string | null;
  readonly to_state: string;
  readonly at: number;
  readonly host_id: string | null;
  readonly label: string;
  readonly reason: string | null;
}

/** One attempt, from its claim to its end: the time in which it occupied a slot. Times in ms since the epoch. */
export interface Attempt {
  readonly jobId: string;
  readonly attempt: number;
  readonly hostId: string;
  readonly label: string;
  readonly from: number;
  readonly to: number;
  /** `queued` when another attempt followed. */
  readonly end: string;
  readonly reason: string;
}

/**
 * Accepted reasons for the end of an attempt: its runner succeeded, or its host was killed together with the guest,
 * which this host keeps in memory.
 */
const explained: readonly string[] = ["completed", "host_lost", "guest_lost", "guest_stopped"];

/** The states of an attempt, in order. An attempt may end early, but always ends with finalizing. */
const path = ["provisioning", "booting", "running", "finalizing"];

/**
 * Reads every attempt of every job from the recorded changes. Fails when an attempt has a gap between claim and end
 * or changes its host; when an attempt began before the previous one ended; when no fault explains the end of an
 * attempt; or when a job ended by another attempt than its last.
 */
export async function readAttempts(database: pg.Client): Promise<Attempt[]> {
  const { rows } = await database.query<Change>(
    `select job_id, job_transitions.attempt, from_state, to_state, at::float8 as at, job_transitions.host_id, label, reason
     from job_transitions join jobs on jobs.id = job_id where job_transitions.attempt > 0`,
  );
  const attempts: Attempt[] = [];
  for (const changes of Map.groupBy(rows, (row) => row.job_id).values()) {
    const own = [...Map.groupBy(changes, (row) => row.attempt)]
      .sort(([a], [b]) => a - b)
      .map(([, list]) => followAttempt(list));
    assertInOrder(own);
    attempts.push(...own);
  }
  return attempts;
}

function followAttempt(changes: readonly Change[]): Attempt {
  const [some] = changes;
  assert.ok(some);
  const { job_id: jobId, attempt, label } = some;
  const what = `attempt ${attempt} of ${jobId}: ${changes.map((row) => `${row.from_state} to ${row.to_state}`).join(", ")}`;
  const next = new Map(changes.map((row) => [row.from_state, row]));
  assert.equal(next.size, changes.length, `two branches in ${what}`);
  const followed: Change[] = [];
  for (let state = "queued"; ; ) {
    const change = next.get(state);
    if (change === undefined) break;
    followed.push(change);
    next.delete(state);
    state = change.to_state;
  }
  const [claim, end] = [followed[0], followed.at(-1)];
  assert.ok(claim && end && next.size === 0, `a gap in ${what}`);
  assert.equal(claim.to_state, "provisioning", what);
  assert.ok(end.to_state === "queued" || isFinal(end.to_state), `no end in ${what}`);
  assert.equal(end.from_state, "finalizing", what);
  const inside = followed.slice(0, -1).map((change) => path.indexOf(change.to_state));
  assert.deepEqual(
    inside,
    inside.toSorted((a, b) => a - b),
    what,
  );
  const hosts = new Set(followed.map((change) => change.host_id));
  assert.equal(hosts.size, 1, `several hosts in ${what}`);
  return {
    ...{ jobId, attempt, label, hostId: claim.host_id ?? "", end: end.to_state },
    ...{ from: claim.at, to: end.at, reason: end.reason ?? "" },
  };
}

function isFinal(state: string): boolean {
  return (finalStates as readonly string[]).includes(state);
}

function assertInOrder(attempts: readonly Attempt[]): void {
  for (const [index, { jobId, attempt, end, from, reason }] of attempts.entries()) {
    assert.ok(explained.includes(reason), `attempt ${attempt} of ${jobId} ended by ${reason}`);
    assert.equal(attempt, index + 1, `attempts of ${jobId}`);
    assert.equal(end === "queued", index < attempts.length - 1, `attempt ${attempt} of ${jobId} is ${end}`);
    const before = attempts[index - 1];
    assert.ok(!before || before.to <= from, `attempts ${attempt - 1} and ${attempt} of ${jobId} overlap`);
  }
}

/**
 * Checks that no host ever had more active jobs than its limits allow, in total and for each label, and that each
 * limit was reached at some moment.
 */
export function assertCaps(attempts: readonly Attempt[], hosts: readonly HostCaps[]): void {
  for (const host of hosts) {
    const own = attempts.filter((attempt) => attempt.hostId === host.hostId);
    const limits = [
      { of: "jobs", cap: host.maxConcurrency, most: mostAtOnce(own) },
      ...Object.entries(host.labelCaps).map(([label, cap]) => ({
        of: `jobs of ${label}`,
        cap,
        most: mostAtOnce(own.filter((attempt) => attempt.label === label)),
      })),
    ];
    for (const { of, cap, most } of limits) {
      assert.ok(most <= cap, `${host.hostId} ran ${most} ${of} at once, and may run ${cap}`);
      assert.equal(
        most,
        cap,
        `${host.hostId} never ran more than ${most} ${of} at once, and might run ${cap}`,
      );
    }
  }
}

/**
 * The largest number of attempts that overlap. An attempt that ends in a millisecond makes room for another that
 * begins in the same millisecond.
 */
function mostAtOnce(attempts: readonly Pick<Attempt, "from" | "to">[]): number {
  const edges = attempts.flatMap(({ from, to }) => [
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
