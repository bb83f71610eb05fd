import { randomInt } from "node:crypto";
import { test } from "node:test";
import { runChaos } from "./chaos/run.ts";

test("nothing is lost, doubled or leaked while broker, database and orchestrators are killed", async (context) => {
  const seed = Number(process.env.CHAOS_SEED ?? randomInt(2 ** 31));
  // First, so that it is there also when the test dies of its time limit.
  context.diagnostic(`seed ${seed}; repeat with CHAOS_SEED=${seed}`);
  const told: string[] = [];
  try {
    const summary = await runChaos({ seed, jobs: 1000, durationMs: 60_000, tell: (text) => told.push(text) });
    context.diagnostic(JSON.stringify(summary));
  } catch (error) {
    context.diagnostic(told.join("\n"));
    throw error;
  }
});
