import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { testSeed } from "../support/sampling.ts";
import { type ChaosOptions, runChaos } from "./run.ts";

/**
 * Runs the fault suite with the seed of the test run, or with `CHAOS_SEED`. A failure reports what happened and how
 * to repeat it.
 */
export async function runChaosInTest(
  context: TestContext,
  size: Pick<ChaosOptions, "jobs" | "calmJobs" | "durationMs" | "storm">,
): Promise<void> {
  const seed = Number(process.env.CHAOS_SEED ?? testSeed);
  // Printed at once and not as a diagnostic: the line must be there also when the test exceeds its time limit.
  process.stdout.write(`chaos: seed ${seed}; repeat this file with CHAOS_SEED=${seed}\n`);
  const failureLogs = join(tmpdir(), `chaos-logs-${seed}`);
  const reported: string[] = [];
  const began = Date.now();
  const report = (text: string) => reported.push(`${((Date.now() - began) / 1000).toFixed(1)} s  ${text}`);
  try {
    const summary = await runChaos({ seed, ...size, report, failureLogs });
    context.diagnostic([JSON.stringify(summary), ...reported].join("\n"));
  } catch (error) {
    context.diagnostic([`the orchestrators' logs are in ${failureLogs}`, ...reported].join("\n"));
    throw error;
  }
}
