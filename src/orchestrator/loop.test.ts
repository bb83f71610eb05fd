import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLog } from "../core/log.ts";
import type { Log } from "./context.ts";
import { startLoop } from "./loop.ts";

const anHourMs = 3_600_000;

/** The methods of a log, which record their messages in `lines`. */
function collector(lines: string[]) {
  const at = (level: string) => (_: object, text: string) => void lines.push(`${level}: ${text}`);
  return { debug: at("debug"), info: at("info"), warn: at("warn") };
}

/** A promise and the function that resolves it. */
function signal() {
  return Promise.withResolvers<void>();
}

test("any number of wakes during a round make one more round", async () => {
  const gate = signal();
  const second = signal();
  let rounds = 0;
  const loop = startLoop({
    name: "test",
    log: silentLog,
    run: async () => {
      rounds += 1;
      if (rounds === 1) await gate.promise;
      if (rounds === 2) second.resolve();
      return anHourMs;
    },
  });
  for (let count = 0; count < 100; count++) loop.wake();
  gate.resolve();
  await second.promise;
  await loop.stop();
  assert.equal(rounds, 2);
});

test("a wake ends the pause", async () => {
  const rounds = [signal(), signal(), signal()];
  let count = 0;
  const loop = startLoop({
    name: "test",
    log: silentLog,
    run: async () => {
      rounds[count++]?.resolve();
      return anHourMs;
    },
  });
  for (const round of rounds) {
    await round.promise;
    loop.wake();
  }
  await loop.stop();
  assert.ok(count >= 3);
});

test("a failed round is logged once and retried with backoff, also when wakes are frequent", async () => {
  const lines: string[] = [];
  const recovered = signal();
  let rounds = 0;
  const loop = startLoop({
    name: "test",
    log: { ...silentLog, ...collector(lines) } as Log,
    run: async () => {
      rounds += 1;
      // The first round starts before `loop` is assigned.
      await Promise.resolve();
      loop.wake();
      if (rounds <= 2) throw new Error("the store is away");
      recovered.resolve();
      return anHourMs;
    },
  });
  const startedAt = performance.now();
  await recovered.promise;
  await loop.stop();
  assert.deepEqual(lines, [
    "warn: round failed, retrying",
    "debug: round failed, retrying",
    "info: rounds succeed again",
  ]);
  // 500 ms after the first failure and 1000 ms after the second: a lower bound, which a slow machine cannot
  // break.
  assert.ok(performance.now() - startedAt >= 1400);
});

test("an error that is logged elsewhere is not logged again, a new error is", async () => {
  const lines: string[] = [];
  const recovered = signal();
  const errors = [new Error("the store is away"), new Error("a defect")];
  const loop = startLoop({
    name: "test",
    log: { ...silentLog, ...collector(lines) } as Log,
    isLoggedElsewhere: (error) => String(error).includes("away"),
    run: async () => {
      const error = errors.shift();
      if (error) throw error;
      recovered.resolve();
      return anHourMs;
    },
  });
  await recovered.promise;
  await loop.stop();
  assert.deepEqual(lines, [
    "debug: round failed, retrying",
    "warn: round failed, retrying",
    "info: rounds succeed again",
  ]);
});

test("a loop whose body is done ends by itself, and stop is safe then", async () => {
  const loop = startLoop({ name: "test", log: silentLog, run: async () => "done" });
  await loop.ended;
  loop.wake();
  await loop.stop();
});
