import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { cleanEnvironment, solstice } from "../test/support/orchestrator.ts";
import type { Bench } from "./bench.ts";
import { type Daemon, noopFlags, noopImageMap, startDaemon } from "./daemon.ts";
import type { Figure } from "./report.ts";
import { percentile } from "./statistics.ts";

const section = "follow";

/** Pauses between two lines, in seconds: for lines in a steady flow, and for lines after a silence. */
const pauses = { flowing: "0.07", now_and_then: "1.3" } as const;

/**
 * The delay of a line from the step that writes it to the output of `solstice logs -f`. The real `runner.sh` runs as a process
 * of this machine, so that both times come from one clock.
 */
export async function measureFollowing(bench: Bench): Promise<Figure[]> {
  const daemon = await startDaemon(bench, {
    imageMap: noopImageMap,
    flags: [...noopFlags(1), "--noop-runner", "process"],
  });
  try {
    const figures: Figure[] = [];
    for (const [kind, pause] of Object.entries(pauses)) {
      const lines = bench.isQuick ? 3 : kind === "flowing" ? 300 : 60;
      bench.report(`follow: ${lines} lines, ${pause} s apart`);
      const delays = await followLines(daemon, { lines, pause });
      const name = `written → seen, ${kind.replaceAll("_", " ")}`;
      for (const share of [0.5, 0.95]) {
        const value = percentile(delays, share);
        figures.push({ section, name: `${name}, p${share * 100}`, value, unit: "ms" });
      }
    }
    return figures;
  } finally {
    await daemon.kill();
  }
}

/** The delay of each line, in ms. Each line contains the time at which it was written, in ns. */
async function followLines(
  { api, apiUrl }: Daemon,
  { lines, pause }: { lines: number; pause: string },
): Promise<number[]> {
  const script = `sleep 2; i=0; while [ $i -lt ${lines} ]; do date +%s%N; sleep ${pause}; i=$((i + 1)); done`;
  const request = { request_id: randomUUID(), source: "bench", script };
  const { job } = await api.submit({ jobRequestJson: JSON.stringify(request) });
  const follower = spawn(solstice, ["logs", "-f", job?.id ?? "", "--api-url", apiUrl], {
    env: cleanEnvironment(),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const delays: number[] = [];
  for await (const line of createInterface({ input: follower.stdout })) {
    delays.push(performance.timeOrigin + performance.now() - Number(line) / 1e6);
  }
  if (delays.length !== lines) throw new Error(`${delays.length} of ${lines} lines were seen`);
  return delays;
}
