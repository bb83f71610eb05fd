import { execFile } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { Bench } from "./bench.ts";
import { noopFlags, noopImageMap, startDaemon } from "./daemon.ts";
import { createQueuedJobs } from "./queued-jobs.ts";
import type { Figure } from "./report.ts";

const section = "memory";
const root = new URL("..", import.meta.url).pathname;
const queuedJobs = 100_000;

/** Time that a daemon is idle before the measurement. */
const idleSeconds = 10;

/** The memory of an idle orchestrator: from source and built, alone, with broker and database, and with a backlog. */
export async function measureMemory(bench: Bench): Promise<Figure[]> {
  const programs = [["from source", undefined] as const, ["built", await build(bench)] as const];
  const queued = bench.isQuick ? 100 : queuedJobs;
  const full = await createQueuedJobs(bench, queued);
  const setups = [
    ["idle, SQLite", []],
    ["idle, RabbitMQ and PostgreSQL", await serverFlags(bench)],
    [`${queued} queued in PostgreSQL`, ["--database-url", full, "--capacity-map", "any=0"]],
  ] as const;
  const figures: Figure[] = [];
  for (const [what, flags] of setups) {
    bench.report(`memory: ${what}`);
    for (const [how, program] of programs) {
      const daemon = await startDaemon(bench, {
        imageMap: noopImageMap,
        flags: [...noopFlags(8), ...flags],
        ...(program !== undefined && { program }),
      });
      try {
        await delay(bench.isQuick ? 0 : idleSeconds * 1000);
        const { rss, pss } = daemon.memoryMb();
        figures.push({ section, name: `${what}, ${how}, RSS`, value: rss, unit: "MB" });
        figures.push({ section, name: `${what}, ${how}, PSS`, value: pss, unit: "MB" });
      } finally {
        await daemon.kill();
      }
    }
  }
  return figures;
}

async function serverFlags(bench: Bench): Promise<string[]> {
  const { url } = await bench.broker();
  const databaseUrl = await (await bench.database()).createDatabase();
  return ["--amqp-url", url, "--database-url", databaseUrl];
}

/** Builds the package's files into a new directory, and returns the path of their `solstice` command. */
async function build(bench: Bench): Promise<string> {
  bench.report("building");
  const directory = bench.makeDirectory();
  const dist = join(directory, "dist");
  const tsc = join(root, "node_modules/.bin/tsc");
  await promisify(execFile)(tsc, ["-p", join(root, "tsconfig.build.json"), "--outDir", dist]);
  mkdirSync(join(dist, "guest"), { recursive: true });
  cpSync(join(root, "src/guest/runner"), join(dist, "guest/runner"), { recursive: true });
  for (const name of ["bin", "examples", "package.json"]) {
    cpSync(join(root, name), join(directory, name), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  return join(directory, "bin/solstice");
}
