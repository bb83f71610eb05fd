import assert from "node:assert/strict";
import { test } from "node:test";
import { createKeyedLock } from "./keyed-lock.ts";

test("tasks of one key run one after the other, others concurrently, also after an error", async () => {
  const lock = createKeyedLock();
  const gate = Promise.withResolvers<void>();
  const events: string[] = [];
  const first = lock.run("a", async () => {
    events.push("a1 begins");
    await gate.promise;
    events.push("a1 ends");
    throw new Error("a1 failed");
  });
  const second = lock.run("a", async () => {
    events.push("a2");
    return 2;
  });
  await lock.run("b", async () => void events.push("b"));
  gate.resolve();
  await assert.rejects(first, /a1 failed/);
  assert.equal(await second, 2);
  assert.deepEqual(events, ["a1 begins", "b", "a1 ends", "a2"]);
});
