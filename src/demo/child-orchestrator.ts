import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { SolsticeError } from "../core/errors.ts";

/** Time limit for the start of an orchestrator, and the interval of checks, in ms. */
const startTimeoutMs = 60_000;
const pollMs = 100;

/** An orchestrator that runs as a child process. */
export interface ChildOrchestrator {
  readonly apiUrl: string;
  /** Stops the orchestrator and its guests, and waits for the end of the process. Idempotent. */
  stop(): Promise<void>;
}

/** Options of {@link startChildOrchestrator}. */
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
  // Its own process group: Ctrl-C reaches only the demo, which then stops the orchestrator gracefully.
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
      `The orchestrator did not start. The end of its log:\n${lastLines(logPath)}`,
      {
        remedy: "Run `solstice doctor` to find what this host lacks.",
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
      // The note is not written yet.
    }
    await pause(pollMs);
  }
  throw new SolsticeError("unavailable", "The orchestrator ended, or did not serve in time.");
}

/** Sends two signals, which stop the orchestrator at once: the demo's job has ended, or the person has interrupted it. */
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
