import type { Client } from "pg";
import { until } from "../test/support/until.ts";
import type { Bench } from "./bench.ts";
import { type Daemon, noopFlags, noopImageMap, startDaemon } from "./daemon.ts";
import { createQueuedJobs, withDatabase } from "./queued-jobs.ts";
import type { Figure } from "./report.ts";

const section = "backlog";
const concurrency = 8;

/** Number of jobs. The warm-up is not measured, because the daemon's code is compiled while it runs. */
const jobCounts = { warmUp: 100, measured: 400 };
const quickJobCounts = { warmUp: 10, measured: 40 };

/** The cost of a job for different lengths of the queue. It should not depend on the length. */
export async function measureBacklog(bench: Bench): Promise<Figure[]> {
  const figures: Figure[] = [];
  const jobs = bench.isQuick ? quickJobCounts : jobCounts;
  for (const queued of bench.isQuick ? [100] : [100, 1000, 10_000, 100_000]) {
    bench.report(`cost of a job with ${queued} queued`);
    // The jobs that run are additional, so that the backlog never becomes shorter than `queued`.
    const url = await createQueuedJobs(bench, queued + 2 * (jobs.warmUp + jobs.measured));
    const flags = [...noopFlags(concurrency), "--database-url", url];
    const daemon = await startDaemon(bench, { imageMap: noopImageMap, flags });
    try {
      const cost = await withDatabase(url, (client) => measureCost(client, daemon, jobs));
      const name = `${queued} queued`;
      figures.push({ section, name: `${name}: orchestrator`, value: cost.cpuMs, unit: "CPU ms/job" });
      figures.push({ section, name: `${name}: wall`, value: cost.wallMs, unit: "ms/job" });
    } finally {
      await daemon.kill();
      await (await bench.database()).removeDatabase(url);
    }
  }
  return figures;
}

async function measureCost(
  client: Client,
  daemon: Daemon,
  jobs: typeof jobCounts,
): Promise<{ cpuMs: number; wallMs: number }> {
  const first = await untilFinished(client, daemon, jobs.warmUp);
  const last = await untilFinished(client, daemon, first.finished + jobs.measured);
  const count = last.finished - first.finished;
  return { cpuMs: (last.cpuMs - first.cpuMs) / count, wallMs: (last.at - first.at) / count };
}

interface Progress {
  readonly finished: number;
  readonly cpuMs: number;
  readonly at: number;
}

/** Waits until at least `atLeast` jobs have finished, and returns the progress. */
function untilFinished(client: Client, daemon: Daemon, atLeast: number): Promise<Progress> {
  return until(`${atLeast} finished jobs`, async () => {
    const { rows } = await client.query("select count(*)::int as finished from jobs where finished_at > 0");
    const { finished } = rows[0];
    return finished < atLeast ? null : { finished, cpuMs: daemon.cpuMs(), at: performance.now() };
  });
}
