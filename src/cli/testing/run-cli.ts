import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A command line that runs as a process of its own. */
export interface RunningCli {
  readonly child: ChildProcess;
  readonly stdout: () => Buffer;
  readonly stderr: () => string;
  /** Resolves when stdout holds `text`. */
  sawOutput(text: string): Promise<void>;
  sawError(text: string): Promise<void>;
  /** Its exit code, when it has ended; a signal's name when one ended it. */
  readonly ended: Promise<number | string>;
}

/** How {@link startCli} starts. */
export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
}

const deadlineMs = 60_000;

const mainPath = fileURLToPath(new URL("../main.ts", import.meta.url));

/** Starts `solstice` with `args`, and nothing of this process's environment but what a program needs to run. */
export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  const { PATH = "", HOME = "" } = process.env;
  const env = { PATH, HOME, SOLSTICE_DATA_DIR: "/nonexistent", GIT_CONFIG_NOSYSTEM: "1", ...options.env };
  const flags = ["--disable-warning=ExperimentalWarning", mainPath, ...args];
  const child = spawn(process.execPath, flags, { env, cwd: options.cwd ?? "/", stdio: "pipe" });
  child.stdin.end(options.input ?? "");
  // A command that hangs fails its test by this signal, rather than holding up all the others.
  const deadline = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
  child.once("close", () => clearTimeout(deadline));
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  const ended = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  return {
    child,
    stdout: () => Buffer.concat(stdout),
    stderr: () => Buffer.concat(stderr).toString(),
    sawOutput: (text) => saw(child.stdout, stdout, text),
    sawError: (text) => saw(child.stderr, stderr, text),
    ended,
  };
}

/** What a command did, when it has ended. */
export interface CliResult {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `solstice` to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const cli = startCli(args, options);
  const code = await cli.ended;
  return { code, stdout: cli.stdout().toString(), stderr: cli.stderr() };
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
