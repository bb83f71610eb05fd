import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in clock ticks since the machine's boot, as /proc/PID/stat says it. */
  readonly started: string;
}

/** Who a process is now; null when there is none, or only its exit status is left. */
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

/** Whether exactly this process still runs. */
export function isAlive(process: ProcessIdentity): boolean {
  return identify(process.pid)?.started === process.started;
}

/** Kills exactly this process, if it still runs. */
export function killProcess({ pid, started }: ProcessIdentity, signal: NodeJS.Signals = "SIGKILL"): void {
  if (!isAlive({ pid, started })) return;
  try {
    process.kill(pid, signal);
  } catch {
    // It ended in between, which is what was wanted.
  }
}

/** The longest pause between two looks at a process that is to end, in ms. */
const longestPauseMs = 50;

/** Waits until the process is gone; false when it is still there after `deadlineMs`. `wait` pauses, by default for certain. */
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
