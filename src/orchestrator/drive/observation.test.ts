import assert from "node:assert/strict";
import { test } from "node:test";
import { createObservation } from "./observation.ts";

const pollMs = 10;

function observationAt(startedAt: number) {
  const clock = { now: startedAt };
  const observation = createObservation({ startedAt, limits: { pollMs } }, () => clock.now);
  const lookAt = async (at: number, takesMs = 0) => {
    clock.now = at;
    const work = async () => {
      clock.now = at + takesMs;
    };
    return (await observation.observe(work)).observedSinceAt;
  };
  return { observation, lookAt, clock };
}

test("punctual observations count from the start, however long ago", async () => {
  const { lookAt } = observationAt(100);
  for (const at of [500, 510, 540, 541]) assert.equal(await lookAt(at), 100);
});

test("after a failed observation, the period begins at the first success, and stays there", async () => {
  const { observation, lookAt } = observationAt(100);
  await lookAt(110);
  const fail = () => observation.observe(() => Promise.reject(new Error("the database is away")));
  await assert.rejects(fail());
  await assert.rejects(fail());
  assert.equal(await lookAt(130), 130);
  assert.equal(await lookAt(140), 130);
});

test("an observation that is overdue or slow begins a new period when it ends", async () => {
  const { lookAt } = observationAt(100);
  await lookAt(110);
  assert.equal(await lookAt(200), 200);
  assert.equal(await lookAt(210, 50), 260);
  assert.equal(await lookAt(270), 260);
});
