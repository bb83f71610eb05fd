import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { KeyedQueue } from "./keyed-queue.ts";

/** A task that ends when `end` is called. */
function openTask(): { task: () => Promise<string>; end: () => void; started: () => boolean } {
  const { promise, resolve } = Promise.withResolvers<string>();
  let started = false;
  const task = () => {
    started = true;
    return promise;
  };
  return { task, end: () => resolve("done"), started: () => started };
}

test("calls of one key run in order and never concurrently; other keys do not wait", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 30 }), async (keys) => {
      const queue = new KeyedQueue({ perKey: 30, total: 90 });
      const running = new Map<string, number>();
      const order: [string, number][] = [];
      await Promise.all(
        keys.map((key, index) =>
          queue.run(key, async () => {
            running.set(key, (running.get(key) ?? 0) + 1);
            await setImmediate();
            assert.equal(running.get(key), 1);
            running.set(key, 0);
            order.push([key, index]);
          }),
        ),
      );
      for (const key of ["a", "b", "c"]) {
        const indexes = order.filter(([of]) => of === key).map(([, index]) => index);
        assert.deepEqual(
          indexes,
          indexes.toSorted((x, y) => x - y),
        );
      }
    }),
    { numRuns: 50 },
  );
});

test("calls beyond the limit of a key, or of all keys, are refused; a task that ends frees its place", async () => {
  const queue = new KeyedQueue({ perKey: 2, total: 3 });
  const [first, second, third] = [openTask(), openTask(), openTask()];
  const runs = [queue.run("a", first.task), queue.run("a", second.task), queue.run("b", third.task)];
  await assert.rejects(
    queue.run("a", async () => "refused"),
    { code: "limit_exceeded" },
  );
  await assert.rejects(
    queue.run("c", async () => "refused"),
    { code: "limit_exceeded" },
  );
  await setImmediate();
  assert.deepEqual([first.started(), second.started(), third.started()], [true, false, true]);
  first.end();
  await runs[0];
  assert.equal(await queue.run("c", async () => "served"), "served");
  second.end();
  third.end();
  await Promise.all(runs);
});

test("a failed task does not stop the tasks behind it", async () => {
  const queue = new KeyedQueue({ perKey: 2, total: 2 });
  const failing = queue.run("a", async () => {
    throw new Error("expected");
  });
  const next = queue.run("a", async () => "served");
  await assert.rejects(failing, /expected/);
  assert.equal(await next, "served");
});
