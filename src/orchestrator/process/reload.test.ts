import assert from "node:assert/strict";
import { test } from "node:test";
import { SolsticeError } from "../../core/errors.ts";
import type { Context } from "../context.ts";
import { createLiveConfig } from "./live-config.ts";
import { catchReloads } from "./reload.ts";

test("a SIGHUP during the start reloads after it, and many during one reload make one more", async () => {
  const reloads = catchReloads();
  process.kill(process.pid, "SIGHUP");
  await new Promise((resolve) => process.once("SIGHUP", resolve));
  const errors: string[][] = [];
  const log = { error: (facts: { problems: string[] }) => void errors.push(facts.problems) };
  const reading = Promise.withResolvers<void>();
  const states: string[] = [];
  reloads.start({ log } as unknown as Context, {
    live: createLiveConfig({} as never),
    source: {
      async reload() {
        await reading.promise;
        throw new SolsticeError("config_invalid", "one\ntwo");
      },
    },
    serviceManager: {
      reloading: async () => void states.push("reloading"),
      ready: async (status) => void states.push(status),
    },
  });
  for (let count = 0; count < 3; count += 1) process.emit("SIGHUP", "SIGHUP");
  reading.resolve();
  const status = "Not reloaded: one (and 1 more)";
  while (states.length < 4) await new Promise(setImmediate);
  await reloads.stop();
  assert.deepEqual(states, ["reloading", status, "reloading", status]);
  assert.deepEqual(errors, [
    ["one", "two"],
    ["one", "two"],
  ]);
});
