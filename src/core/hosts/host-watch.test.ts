import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type HostWatch, lostLeases, noObservation, observeLeases, restartGraceMaxMs } from "./host-watch.ts";

const leaseMs = 100;
const maxGapMs = 40;

/** The restart grace of each host, in ms: that of c is shorter than a lease. */
const graces: Readonly<Record<string, number | null>> = { a: null, b: 150, c: 50 };
const lease = (hostId: string, renewals: number) => ({
  hostId,
  renewals,
  restartGraceMs: graces[hostId] ?? null,
});

/** One turn of an observer: time passes, some hosts renew, and the observation succeeds or fails. */
const turn = fc.record({
  passed: fc.integer({ min: 0, max: 45 }),
  renewing: fc.subarray(["a", "b", "c"]),
  succeeds: fc.integer({ min: 0, max: 6 }).map((one) => one > 0),
});

/**
 * Turns in which some hosts never renew, and others renew by chance. A host rarely misses a whole lease by chance
 * alone: without the hosts that never renew, some runs of the property saw no loss.
 */
const scriptWithSilentHosts = fc
  .record({
    silent: fc.subarray(["a", "b", "c"], { minLength: 1 }),
    turns: fc.array(turn, { minLength: 10, maxLength: 40 }),
  })
  .map(({ silent, turns }) =>
    turns.map((one) => ({ ...one, renewing: one.renewing.filter((hostId) => !silent.includes(hostId)) })),
  );

interface Turn {
  readonly at: number;
  readonly succeeds: boolean;
  readonly leases: readonly { hostId: string; renewals: number }[];
  readonly watch: HostWatch;
}

function play(turns: readonly { passed: number; renewing: string[]; succeeds: boolean }[]): Turn[] {
  const renewals = new Map(["a", "b", "c"].map((hostId) => [hostId, 1]));
  let watch = noObservation;
  let now = 0;
  return turns.map(({ passed, renewing, succeeds }) => {
    now += passed;
    for (const hostId of renewing) renewals.set(hostId, (renewals.get(hostId) ?? 0) + 1);
    const leases = [...renewals].map(([hostId, count]) => lease(hostId, count));
    watch = succeeds ? observeLeases(watch, leases, { now, maxGapMs }) : noObservation;
    return { at: now, succeeds, leases, watch };
  });
}

/**
 * The definition, word for word: the same number in every observation of an unbroken row that spans a lease, or the
 * restart grace of a restarting host.
 */
function isLost(turns: readonly Turn[], index: number, hostId: string): boolean {
  const count = (turn: Turn) => turn.leases.find((one) => one.hostId === hostId)?.renewals;
  const last = turns[index] as Turn;
  if (!last.succeeds) return false;
  let first = last;
  for (let place = index - 1; place >= 0; place -= 1) {
    const earlier = turns[place] as Turn;
    if (!earlier.succeeds || first.at - earlier.at > maxGapMs || count(earlier) !== count(last)) break;
    first = earlier;
  }
  return last.at - first.at >= Math.max(leaseMs, graces[hostId] ?? 0);
}

test("exactly the hosts that stood still for a lease of uninterrupted observations are lost", () => {
  let losses = 0;
  fc.assert(
    fc.property(scriptWithSilentHosts, (script) => {
      const turns = play(script);
      for (const [index, { watch }] of turns.entries()) {
        const lost = lostLeases(watch, leaseMs).map(({ hostId }) => hostId);
        losses += lost.length;
        assert.deepEqual(
          lost,
          ["a", "b", "c"].filter((hostId) => isLost(turns, index, hostId)),
        );
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(losses > 0, "no run of the property had a lost host");
});

test("after a failed observation, and for a fresh observer, no host is lost before a whole lease has passed", () => {
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 20 }), fc.integer({ min: 0, max: 99 }), (script, within) => {
      const leases = [lease("a", 1)];
      const broken = [...script.map((one) => ({ ...one, renewing: [] })), { passed: 0, renewing: [] }];
      const turns = play(broken.map((one) => ({ ...one, succeeds: false })));
      const start = turns.at(-1)?.at ?? 0;
      let { watch } = turns.at(-1) as Turn;
      for (let now = start; now <= start + within; now += 20)
        watch = observeLeases(watch, leases, { now, maxGapMs });
      assert.deepEqual(lostLeases(watch, leaseMs), []);
    }),
  );
});

test("a host that is no longer listed is forgotten, and a lost lease is reported with the number that stood still", () => {
  let watch = observeLeases(noObservation, [lease("a", 7)], { now: 0, maxGapMs: 200 });
  watch = observeLeases(watch, [lease("a", 7)], { now: 100, maxGapMs: 200 });
  assert.deepEqual(lostLeases(watch, leaseMs), [lease("a", 7)]);
  watch = observeLeases(watch, [], { now: 150, maxGapMs: 200 });
  assert.deepEqual(lostLeases(watch, leaseMs), []);
});

test("a host that restarts is left alone for its grace, and for an hour at most", () => {
  const lostAfter = (restartGraceMs: number, passedMs: number) => {
    const leases = [{ hostId: "a", renewals: 7, restartGraceMs }];
    const gap = { maxGapMs: Number.MAX_SAFE_INTEGER };
    const first = observeLeases(noObservation, leases, { now: 0, ...gap });
    return lostLeases(observeLeases(first, leases, { now: passedMs, ...gap }), leaseMs).length === 1;
  };
  assert.deepEqual([lostAfter(300_000, 299_999), lostAfter(300_000, 300_000)], [false, true]);
  assert.deepEqual([lostAfter(1, leaseMs - 1), lostAfter(1, leaseMs)], [false, true]);
  const absurd = restartGraceMaxMs * 10;
  assert.deepEqual(
    [lostAfter(absurd, restartGraceMaxMs - 1), lostAfter(absurd, restartGraceMaxMs)],
    [false, true],
  );
});
