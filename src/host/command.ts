import type { Result } from "execa";
import { type ErrorCode, SolsticeError } from "../core/errors.ts";
import { installCommand } from "./packages.ts";

/** Bounds of a command where the caller names no other. */
export const commandDefaults = {
  deadlineSeconds: 60,
  maxOutputBytes: 4 * 1024 * 1024,
} as const;

const diskFullRemedy = "Free space on the disk that it writes to, or let it write to another.";

/** Lines of a failed tool's output that go into the error. */
const quotedLines = 5;

/** How {@link runCommand} runs a program. */
export interface CommandOptions {
  /** After this many seconds the program and all it started are killed. */
  readonly deadlineSeconds?: number;
  /** More output than this is an error. */
  readonly maxOutputBytes?: number;
  readonly signal?: AbortSignal | undefined;
  readonly cwd?: string;
  readonly input?: string;
  /** Changes to the environment that the program inherits; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The code of the error when the program exits non-zero or is stopped; default `internal`. */
  readonly errorCode?: ErrorCode;
  /** What a person should do about that error. */
  readonly remedy?: string;
  /** Exit codes that are answers and no errors; default only 0. */
  readonly acceptExitCodes?: readonly number[];
}

/** What a program answered. */
export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * How a program is run; one that records what it runs has the same form.
 * @public
 */
export type RunCommand = typeof runCommand;

/**
 * Runs `program` (never through a shell) with the C locale, so that its words do not depend on the host. Throws
 * `host_missing_tool` when it is not installed, and `errorCode`, with the last lines it said, when it fails, takes
 * longer than its deadline or says too much; `disk_full` where those lines say so. On a deadline or `signal` its whole process group is killed, because a
 * grandchild that holds the pipe would keep us waiting.
 */
export async function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  // Loaded with the first command: a daemon that waits for jobs does without its memory.
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

/** How a program ended, as execa says it. */
export type ProgramEnd = Partial<Pick<Result, "code" | "exitCode" | "signal" | "stdout" | "stderr">> &
  Pick<Result, "isMaxBuffer">;

/** What {@link runCommand} makes of a program's end, for programs that are run by other means: its answer, or the error. */
export function checkResult(
  program: string,
  result: ProgramEnd,
  options: CommandOptions & { lateAfter: number | null },
): CommandResult {
  // A working directory that does not exist is ENOENT too, but then the program is not what is missing.
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

/** The C library's words for ENOSPC and EDQUOT, which every tool repeats. */
function saysDiskFull(said: string): boolean {
  return /No space left on device|Disk quota exceeded/.test(said);
}

function howItEnded(result: ProgramEnd, lateAfter: number | null): string {
  if (lateAfter !== null) return `did not end within ${lateAfter} s and was killed`;
  if (result.isMaxBuffer) return "said more than its output limit and was stopped";
  if (result.exitCode !== undefined) return `failed with exit code ${result.exitCode}`;
  if (result.signal !== undefined) return `was ended by ${result.signal}`;
  return `could not be started (${result.code ?? "unknown reason"})`;
}

function lastLines(text: string): string {
  return text.trim().split("\n").slice(-quotedLines).join("\n").slice(-2000);
}

function killProcessGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nobody of the group is left, which is what was wanted.
  }
}
