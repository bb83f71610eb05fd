import assert from "node:assert/strict";
import { test } from "node:test";
import { createObservation } from "./observation.ts";

const pollMs = 10;

function sightAt(startedAt: number) {
  const clock = { now: startedAt };
  const observation = createObservation({ startedAt, limits: { pollMs } }, () => clock.now);
  const lookAt = async (at: number, takesMs = 0) => {
    clock.now = at;
    const work = async () => {
      clock.now = at + takesMs;
    };
    return (await observation.look(work)).observedSinceAt;
  };
  return { observation, lookAt, clock };
}

test("looks in time go back to the start, however long ago the first one is", async () => {
  const { lookAt } = sightAt(100);
  for (const at of [500, 510, 540, 541]) assert.equal(await lookAt(at), 100);
});

test("after a failed look, sight begins with the first that succeeds, and stays there", async () => {
  const { observation, lookAt } = sightAt(100);
  await lookAt(110);
  const fail = () => observation.look(() => Promise.reject(new Error("the database is away")));
  await assert.rejects(fail());
  await assert.rejects(fail());
  assert.equal(await lookAt(130), 130);
  assert.equal(await lookAt(140), 130);
});

test("a look that is long overdue, or takes long, begins sight again when it ends", async () => {
  const { lookAt } = sightAt(100);
  await lookAt(110);
  assert.equal(await lookAt(200), 200);
  assert.equal(await lookAt(210, 50), 260);
  assert.equal(await lookAt(270), 260);
});
