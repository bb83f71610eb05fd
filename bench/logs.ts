import { randomUUID } from "node:crypto";
import { isFinal, type JobState } from "../src/core/job/job-state.ts";
import { until } from "../test/support/until.ts";
import type { Bench } from "./bench.ts";
import { type Daemon, noopFlags, noopImageMap, startDaemon } from "./daemon.ts";
import type { Figure } from "./report.ts";

const section = "logs";

/** Characters of a line. The lines differ, so that they compress like build output, not to almost nothing. */
const lineChars = 100;

/** The rate at which the real `runner.sh`, as a process of this machine, sends a large output to the store. */
export async function measureLogs(bench: Bench): Promise<Figure[]> {
  const bytes = bench.isQuick ? 1_000_000 : 50_000_000;
  const figures: Figure[] = [];
  for (const store of ["sqlite", "postgres"] as const) {
    bench.report(`log of ${bytes / 1e6} MB into ${store}`);
    const databaseUrl = store === "postgres" ? await (await bench.database()).createDatabase() : null;
    const flags = [
      ...noopFlags(1),
      ...["--noop-runner", "process"],
      ...(databaseUrl === null ? [] : ["--database-url", databaseUrl]),
    ];
    const daemon = await startDaemon(bench, { imageMap: noopImageMap, flags });
    try {
      const seconds = await runPrinting(daemon, bytes);
      figures.push({ section, name: `guest → ${store}`, value: bytes / 1e6 / seconds, unit: "MB/s" });
    } finally {
      await daemon.kill();
      if (databaseUrl !== null) await (await bench.database()).removeDatabase(databaseUrl);
    }
  }
  return figures;
}

/** Seconds from the runner's first call until it reported that all output had arrived. */
async function runPrinting(daemon: Daemon, bytes: number): Promise<number> {
  const lines = Math.ceil(bytes / lineChars);
  const script = `awk 'BEGIN { for (i = 0; i < ${lines}; i++) printf "%0${lineChars - 1}d\\n", i * 7919 }'`;
  const request = { request_id: randomUUID(), source: "bench", script };
  const { job } = await daemon.api.submit({ jobRequestJson: JSON.stringify(request) });
  const jobId = job?.id ?? "";
  const ended = await until("the log", async () => {
    const { job: seen } = await daemon.api.get({ jobId });
    return seen && isFinal(seen.state as JobState) ? seen : null;
  });
  if (ended.state !== "succeeded") throw new Error(`the job ended as ${ended.state}`);
  const entered = (state: string) => Number(ended.transitions.find(({ to }) => to === state)?.atMs);
  return (entered("finalizing") - entered("running")) / 1000;
}
