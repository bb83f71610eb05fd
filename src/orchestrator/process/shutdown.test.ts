import assert from "node:assert/strict";
import { test } from "node:test";
import type { Context } from "../context.ts";
import type { Lifecycle } from "../drive/lifecycle-loop.ts";
import { drain } from "./shutdown.ts";

/** Drains within tenths of a second; returns the result, and the entered phases. */
async function drainWith(idle: () => Promise<void>, phase: "draining" | "forced" = "draining") {
  const phases: string[] = [];
  const context = {
    config: { drainTimeoutSeconds: 0.2, stopTimeoutSeconds: 0.1 },
    log: { info: (facts: { phase: string }) => void phases.push(facts.phase) },
    phase,
  } as unknown as Context;
  const lifecycle = { wakeAll: () => {}, idle } as unknown as Lifecycle;
  return { isDown: await drain(context, lifecycle, 100), phases };
}

const never = () => new Promise<void>(() => {});

test("a host without jobs stops at once", async () => {
  assert.deepEqual(await drainWith(async () => {}), { isDown: true, phases: [] });
});

test("a host stops even if its database is unavailable", async () => {
  assert.deepEqual(await drainWith(never), { isDown: false, phases: ["drained"] });
  assert.deepEqual(await drainWith(never, "forced"), { isDown: false, phases: [] });
});

test("a SIGUSR2 during the drain ends it at once: guests keep running", async () => {
  const context = {
    config: { drainTimeoutSeconds: 3600, stopTimeoutSeconds: 3600 },
    log: { info: () => assert.fail("no phase is entered") },
    phase: "draining",
  } as unknown as Context;
  const draining = drain(context, { wakeAll: () => {}, idle: never } as unknown as Lifecycle);
  context.phase = "restarting";
  assert.equal(await draining, false);
});
