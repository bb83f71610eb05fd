import type { Result } from "execa";
import { type ErrorCode, SolsticeError } from "../core/errors.ts";
import { installCommand } from "./packages.ts";

/** Limits of a command for which the caller sets none. */
export const commandDefaults = {
  deadlineSeconds: 60,
  maxOutputBytes: 4 * 1024 * 1024,
} as const;

const diskFullRemedy = "Free space on the disk that the program writes to, or choose another disk.";

/** Number of output lines of a failed tool that the error quotes. */
const quotedLines = 5;

/** Options of {@link runCommand}. */
export interface CommandOptions {
  /** Seconds after which the program and its whole process group are killed. */
  readonly deadlineSeconds?: number;
  /** Limit of the output, in bytes; exceeding the limit is an error. */
  readonly maxOutputBytes?: number;
  readonly signal?: AbortSignal | undefined;
  readonly cwd?: string;
  readonly input?: string;
  /** Changes to the environment that the program inherits; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Error code when the program exits non-zero or is stopped; default `internal`. */
  readonly errorCode?: ErrorCode;
  /** Remedy text of that error. */
  readonly remedy?: string;
  /** Exit codes that are not errors; default only 0. */
  readonly acceptExitCodes?: readonly number[];
}

/** Result of a program that has ended. */
export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Function type of {@link runCommand}, also for test doubles that record each call.
 * @public
 */
export type RunCommand = typeof runCommand;

/**
 * Runs `program` (never through a shell) with the C locale, so that its messages do not depend on the host. Throws
 * `host_missing_tool` when the program is not installed; `errorCode`, with the last output lines, when the program
 * fails, exceeds its deadline or its output limit; and `disk_full` when those lines report a full disk. On a deadline
 * or an aborted `signal` the whole process group is killed, because a grandchild that keeps the pipe open would delay
 * the result.
 */
export async function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  // Loaded with the first command: an idle daemon saves this module's memory.
  const { execa } = await import("execa");
  options.signal?.throwIfAborted();
  const deadlineSeconds = options.deadlineSeconds ?? commandDefaults.deadlineSeconds;
  const subprocess = execa(program, [...args], {
    cwd: options.cwd,
    detached: true,
    env: { ...options.env, LC_ALL: "C" },
    input: options.input ?? "",
    maxBuffer: options.maxOutputBytes ?? commandDefaults.maxOutputBytes,
    reject: false,
    stripFinalNewline: false,
  });
  const killGroup = () => killProcessGroup(subprocess.pid);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    killGroup();
  }, deadlineSeconds * 1000);
  options.signal?.addEventListener("abort", killGroup, { once: true });
  try {
    const result = await subprocess;
    if (result.isMaxBuffer) killGroup();
    options.signal?.throwIfAborted();
    return checkResult(program, result, { ...options, lateAfter: late ? deadlineSeconds : null });
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", killGroup);
  }
}

/** The error for a program that is not installed, with the command that installs it on this host. */
export function missingTool(program: string, cause?: unknown): SolsticeError {
  return new SolsticeError("host_missing_tool", `The program ${program} is not installed.`, {
    remedy: `Install it: ${installCommand(program)}`,
    cause,
  });
}

/** End of a program, in execa's terms. */
export type ProgramEnd = Partial<Pick<Result, "code" | "exitCode" | "signal" | "stdout" | "stderr">> &
  Pick<Result, "isMaxBuffer">;

/**
 * Converts a program's end into the result or the error of {@link runCommand}, for programs that are started by other
 * means.
 */
export function checkResult(
  program: string,
  result: ProgramEnd,
  options: CommandOptions & { lateAfter: number | null },
): CommandResult {
  // ENOENT can also mean that the working directory is missing; only without one is the program missing.
  if (result.code === "ENOENT" && options.cwd === undefined) throw missingTool(program, result);
  const { exitCode } = result;
  const accepted = options.acceptExitCodes ?? [0];
  const ended = options.lateAfter === null && !result.isMaxBuffer;
  const stdout = String(result.stdout ?? "");
  const stderr = String(result.stderr ?? "");
  if (ended && exitCode !== undefined && accepted.includes(exitCode)) return { exitCode, stdout, stderr };
  const said = lastLines(stderr.trim() ? stderr : stdout);
  const message = `${program} ${howItEnded(result, options.lateAfter)}${said ? `: ${said}` : "."}`;
  if (saysDiskFull(said))
    throw new SolsticeError("disk_full", message, { remedy: diskFullRemedy, cause: result });
  const advice = options.remedy === undefined ? {} : { remedy: options.remedy };
  throw new SolsticeError(options.errorCode ?? "internal", message, { ...advice, cause: result });
}

/** True when the output has the C library's text for ENOSPC or EDQUOT, which every tool repeats: exit codes do not show it. */
function saysDiskFull(said: string): boolean {
  return /No space left on device|Disk quota exceeded/.test(said);
}

function howItEnded(result: ProgramEnd, lateAfter: number | null): string {
  if (lateAfter !== null) return `did not end within ${lateAfter} s and was killed`;
  if (result.isMaxBuffer) return "exceeded its output limit and was stopped";
  if (result.exitCode !== undefined) return `failed with exit code ${result.exitCode}`;
  if (result.signal !== undefined) return `was ended by ${result.signal}`;
  return `could not be started (${result.code ?? "unknown reason"})`;
}

/** Returns the end of a program's output for an error: at most five lines, with `maxChars` characters together. */
export function lastLines(text: string, maxChars = 2000): string {
  return text.trim().split("\n").slice(-quotedLines).join("\n").slice(-maxChars);
}

function killProcessGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The process group is gone already: nothing to kill.
  }
}
