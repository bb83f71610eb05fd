import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** A process identity that differs from a later process with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in clock ticks since the machine's boot, from /proc/PID/stat. */
  readonly started: string;
}

/** The current identity of a process; null when it does not exist, or is a zombie. */
export function identify(pid: number): ProcessIdentity | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold blanks; the fields after it do not.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state] = fields;
    const started = fields[19];
    if (state === "Z" || state === "X" || started === undefined) return null;
    return { pid, started };
  } catch {
    return null;
  }
}

/** True while exactly this process is running. */
export function isAlive(process: ProcessIdentity): boolean {
  return identify(process.pid)?.started === process.started;
}

/** Kills exactly this process, if it is still running. */
export function killProcess({ pid, started }: ProcessIdentity, signal: NodeJS.Signals = "SIGKILL"): void {
  if (!isAlive({ pid, started })) return;
  try {
    process.kill(pid, signal);
  } catch {
    // The process ended meanwhile, as intended.
  }
}

/** The longest pause between two checks of an ending process, in ms. */
const longestPauseMs = 50;

/**
 * Waits until the process is gone; false when it still exists after `deadlineMs`. `wait` pauses; by default the pause
 * cannot be interrupted.
 */
export async function waitForEnd(
  process: ProcessIdentity,
  deadlineMs: number,
  wait: (ms: number) => Promise<unknown> = delay,
): Promise<boolean> {
  const deadline = Date.now() + deadlineMs;
  for (let pauseMs = 1; isAlive(process); pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    if (Date.now() >= deadline) return false;
    await wait(pauseMs);
  }
  return true;
}
