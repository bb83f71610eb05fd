import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runChaos } from "./chaos/run.ts";
import { testSeed } from "./support/sampling.ts";

test("nothing is lost, doubled or leaked while broker, database and orchestrators are killed", async (context) => {
  const seed = Number(process.env.CHAOS_SEED ?? testSeed);
  // At once and not as a diagnostic: it must be there also when the test dies of its time limit.
  process.stdout.write(
    `chaos: seed ${seed}; repeat with CHAOS_SEED=${seed}, or npm run chaos -- --seed ${seed}\n`,
  );
  const failureLogs = join(tmpdir(), `chaos-logs-${seed}`);
  const told: string[] = [];
  const began = Date.now();
  const tell = (text: string) => told.push(`${((Date.now() - began) / 1000).toFixed(1)} s  ${text}`);
  try {
    const summary = await runChaos({ seed, jobs: 1000, durationMs: 30_000, tell, failureLogs });
    context.diagnostic(JSON.stringify(summary));
  } catch (error) {
    context.diagnostic([`the orchestrators' logs are in ${failureLogs}`, ...told].join("\n"));
    throw error;
  }
});
