import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { SolsticeError } from "../core/errors.ts";

/** How long an orchestrator may take until it serves, and how often we look, in ms. */
const startTimeoutMs = 60_000;
const lookEveryMs = 100;

/** An orchestrator that runs as a process of its own. */
export interface ChildOrchestrator {
  readonly apiUrl: string;
  /** Stops it and waits until it is gone, with every guest. Said again, it does nothing. */
  stop(): Promise<void>;
}

/** What to start it with. */
export interface ChildOrchestratorOptions {
  /** The `solstice` command. */
  readonly program: string;
  readonly dataDir: string;
  readonly args: readonly string[];
}

/** Starts an orchestrator, with its log in `orchestrator.log` of the data directory, and waits until it serves. */
export async function startChildOrchestrator(options: ChildOrchestratorOptions): Promise<ChildOrchestrator> {
  const logPath = join(options.dataDir, "orchestrator.log");
  const log = openSync(logPath, "a", 0o600);
  // A process group of its own: Ctrl-C is for the demo, which then stops it in good order.
  const child = spawn(options.program, ["orchestrator", "--data-dir", options.dataDir, ...options.args], {
    stdio: ["ignore", log, log],
    detached: true,
  });
  closeSync(log);
  const ended = once(child, "exit");
  try {
    const apiUrl = await untilServing(child, options.dataDir);
    return { apiUrl, stop: () => stopChild(child, ended) };
  } catch (error) {
    await stopChild(child, ended);
    throw new SolsticeError(
      "unavailable",
      `The orchestrator did not start; its log says:\n${lastLines(logPath)}`,
      {
        remedy: "Run `solstice doctor`: it says what this host lacks.",
        cause: error,
      },
    );
  }
}

async function untilServing(child: ChildProcess, dataDir: string): Promise<string> {
  const deadline = performance.now() + startTimeoutMs;
  while (performance.now() < deadline && child.exitCode === null && child.signalCode === null) {
    try {
      const note = JSON.parse(readFileSync(join(dataDir, "orchestrator.json"), "utf8"));
      if (note.pid === child.pid) return note.apiUrl;
    } catch {
      // Not written yet.
    }
    await pause(lookEveryMs);
  }
  throw new SolsticeError("unavailable", "The orchestrator ended, or did not serve in time.");
}

/** Asks twice: the demo's job has ended, or nobody wants it any more. */
async function stopChild(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill("SIGTERM");
    child.kill("SIGINT");
  }
  await ended;
}

function lastLines(path: string): string {
  return readFileSync(path, "utf8").trimEnd().split("\n").slice(-20).join("\n");
}
