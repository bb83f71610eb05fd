import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { CliContext } from "../context.ts";
import { runCommandLine } from "../run-command-line.ts";

/** A running command line. */
export interface RunningCli {
  readonly stdout: () => Buffer;
  readonly stderr: () => string;
  /** Resolves when stdout holds `text`. */
  sawOutput(text: string): Promise<void>;
  sawError(text: string): Promise<void>;
  /** Resolves at the end, with the exit code, or the name of the signal that ended the process. */
  readonly ended: Promise<number | string>;
}

/** A running command line in its own process. */
export interface CliProcess extends RunningCli {
  readonly child: ChildProcess;
}

/** Options of {@link startCli}. */
export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

const deadlineMs = 60_000;

const mainPath = fileURLToPath(new URL("../main.ts", import.meta.url));

/** The environment of a command line in a test. It hides an orchestrator that runs on this machine. */
function environmentOf({ env = {} }: CliOptions): Record<string, string> {
  // SOLSTICE_API_URL alone is enough; with both variables the command would print a warning that they differ.
  const place: Record<string, string> =
    "SOLSTICE_API_URL" in env ? {} : { SOLSTICE_DATA_DIR: "/nonexistent" };
  return { GIT_CONFIG_NOSYSTEM: "1", ...place, ...env };
}

/** Runs `solstice` with `args` in this process, with its own streams and environment. A hundred times cheaper than a new process. */
export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const { promise: late, reject } = Promise.withResolvers<never>();
  const deadline = setTimeout(
    () => reject(new Error(`solstice ${args.join(" ")} did not end in time`)),
    deadlineMs,
  );
  const running = runCommandLine(args, {
    stdout,
    stderr: stderr as unknown as CliContext["stderr"],
    stdin: Readable.from([options.input ?? ""]),
    env: environmentOf(options),
    now: Date.now,
  });
  const ended = Promise.race([running, late]).finally(async () => {
    clearTimeout(deadline);
    const read = [once(stdout, "end"), once(stderr, "end")];
    stdout.end();
    stderr.end();
    await Promise.all(read);
  });
  return { ...watchOutputs(stdout, stderr), ended };
}

/** Starts `solstice` with `args` as a process, whose environment has only PATH, HOME and the given variables. */
export function startCliProcess(
  args: readonly string[],
  options: CliOptions & { readonly cwd?: string } = {},
): CliProcess {
  const { PATH = "", HOME = "" } = process.env;
  const env = { PATH, HOME, ...environmentOf(options) };
  const flags = ["--disable-warning=ExperimentalWarning", mainPath, ...args];
  const child = spawn(process.execPath, flags, { env, cwd: options.cwd ?? "/", stdio: "pipe" });
  child.stdin.end(options.input ?? "");
  // The signal makes the test of a command that hangs fail, so that the other tests still run.
  const deadline = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
  child.once("close", () => clearTimeout(deadline));
  const ended = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  return { child, ...watchOutputs(child.stdout, child.stderr), ended };
}

/** The result of a command that has ended. */
export interface CliResult {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `solstice` to its end, in this process. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return resultOf(startCli(args, options));
}

/** Waits for the end of a command, and returns its result. */
export async function resultOf(cli: RunningCli): Promise<CliResult> {
  const code = await cli.ended;
  return { code, stdout: cli.stdout().toString(), stderr: cli.stderr() };
}

function watchOutputs(output: Readable, errors: Readable): Omit<RunningCli, "ended"> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  output.on("data", (chunk: Buffer) => stdout.push(chunk));
  errors.on("data", (chunk: Buffer) => stderr.push(chunk));
  return {
    stdout: () => Buffer.concat(stdout),
    stderr: () => Buffer.concat(stderr).toString(),
    sawOutput: (text) => saw(output, stdout, text),
    sawError: (text) => saw(errors, stderr, text),
  };
}

async function saw(stream: NodeJS.ReadableStream, chunks: readonly Buffer[], text: string): Promise<void> {
  while (!Buffer.concat(chunks).includes(text)) {
    await Promise.race([
      once(stream, "data"),
      once(stream, "end").then(() => {
        throw new Error(`The output ended without "${text}": ${Buffer.concat(chunks)}`);
      }),
    ]);
  }
}
