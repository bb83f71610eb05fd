import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { CliContext } from "../context.ts";
import { runCommandLine } from "../run-command-line.ts";

/** A command line that runs. */
export interface RunningCli {
  readonly stdout: () => Buffer;
  readonly stderr: () => string;
  /** Resolves when stdout holds `text`. */
  sawOutput(text: string): Promise<void>;
  sawError(text: string): Promise<void>;
  /** Its exit code, when it has ended; of a process, a signal's name when one ended it. */
  readonly ended: Promise<number | string>;
}

/** A command line that runs as a process of its own. */
export interface CliProcess extends RunningCli {
  readonly child: ChildProcess;
}

/** How {@link startCli} starts. */
export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

const deadlineMs = 60_000;

const mainPath = fileURLToPath(new URL("../main.ts", import.meta.url));

/** What a command line of a test has in its environment: it must not find an orchestrator of this machine's own. */
function environmentOf({ env = {} }: CliOptions): Record<string, string> {
  // A variable that names the API is enough; with both, the command would warn that they disagree.
  const place: Record<string, string> =
    "SOLSTICE_API_URL" in env ? {} : { SOLSTICE_DATA_DIR: "/nonexistent" };
  return { GIT_CONFIG_NOSYSTEM: "1", ...place, ...env };
}

/** Runs `solstice` with `args` in this process, which costs a hundredth of a process, with streams and environment of its own. */
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

/** Starts `solstice` with `args` as a process, with nothing of this one's environment but what a program needs to run. */
export function startCliProcess(
  args: readonly string[],
  options: CliOptions & { readonly cwd?: string } = {},
): CliProcess {
  const { PATH = "", HOME = "" } = process.env;
  const env = { PATH, HOME, ...environmentOf(options) };
  const flags = ["--disable-warning=ExperimentalWarning", mainPath, ...args];
  const child = spawn(process.execPath, flags, { env, cwd: options.cwd ?? "/", stdio: "pipe" });
  child.stdin.end(options.input ?? "");
  // A command that hangs fails its test by this signal, rather than holding up all the others.
  const deadline = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
  child.once("close", () => clearTimeout(deadline));
  const ended = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  return { child, ...watchOutputs(child.stdout, child.stderr), ended };
}

/** What a command did, when it has ended. */
export interface CliResult {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `solstice` to its end, in this process. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return resultOf(startCli(args, options));
}

/** What a command did, when it has ended. */
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
