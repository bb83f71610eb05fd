import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Duplex } from "node:stream";
import { SolsticeError } from "../../core/errors.ts";
import {
  type ShellOrder,
  shellEndMark,
  shellOrderText,
  type WindowSize,
} from "../../core/job/shell-order.ts";
import { runCommand } from "../../host/command.ts";
import type { GuestShell } from "../hypervisor.ts";
import { type GuestPaths, placeInside, readIfPresent } from "./guest-files.ts";
import { guestEnvironment, RUNNER_FILE, signalGroup } from "./guest-process.ts";

/** File in which the runner records the terminal of its shell. */
const TERMINAL_FILE = "/run/solstice/state/shell-terminal";

/**
 * Starts a shell beside a "guest" that is a process of this host, like the runner of a real guest: in the checkout,
 * with the job's environment. A terminal needs util-linux' `script`.
 */
export async function openProcessShell(
  paths: GuestPaths,
  order: ShellOrder,
  searchPath: string,
): Promise<GuestShell> {
  const child = await spawnShell(paths, order, searchPath);
  const stream = new ProcessStream(child, order.number);
  return {
    stream,
    endInput: () => void child.stdin?.end(),
    async resize({ rows, columns }: WindowSize) {
      const terminal = (await readIfPresent(placeInside(paths.directory, TERMINAL_FILE)))?.trim() ?? "";
      if (!/^\/dev\/pts\/\d+$/.test(terminal)) return;
      await runCommand("stty", ["-F", terminal, "rows", String(rows), "cols", String(columns)]);
    },
  };
}

async function spawnShell(paths: GuestPaths, order: ShellOrder, searchPath: string): Promise<ChildProcess> {
  const runner = placeInside(paths.directory, RUNNER_FILE);
  // The order's words contain only harmless characters, so every shell reads them the same way.
  const enter = `exec sh "$SOLSTICE_RUNNER" shell ${shellOrderText(order)}`;
  const [program, args] =
    order.mode === "plain" ? ["sh", ["-c", enter]] : ["script", ["-q", "-e", "-c", enter, "/dev/null"]];
  const child = spawn(program, args, {
    cwd: paths.work,
    detached: true,
    stdio: ["pipe", "pipe", order.mode === "plain" ? "pipe" : "ignore"],
    env: { ...guestEnvironment(paths, searchPath), SHELL: "/bin/sh", SOLSTICE_RUNNER: runner },
  });
  try {
    await once(child, "spawn");
    return child;
  } catch (cause) {
    throw new SolsticeError("host_missing_tool", `${program} could not be started.`, {
      remedy: "Install util-linux (Debian: bsdutils), or send commands through a pipe.",
      cause,
    });
  }
}

/** Input and output of a process as one stream, which ends with the mark of an ended shell. */
class ProcessStream extends Duplex {
  readonly #child: ChildProcess;

  constructor(child: ChildProcess, number: number) {
    super({ allowHalfOpen: false });
    this.#child = child;
    for (const output of [child.stdout, child.stderr]) {
      output?.on("data", (bytes) => {
        if (!this.push(bytes)) output.pause();
      });
    }
    child.stdin?.on("error", () => {}); // The shell has ended; the exit handler below reports that.
    child.once("close", (code) => {
      if (this.destroyed) return;
      this.push(shellEndMark(number, code ?? 137));
      this.push(null);
    });
  }

  override _read(): void {
    this.#child.stdout?.resume();
    this.#child.stderr?.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const { stdin } = this.#child;
    if (!stdin?.writable) done();
    else stdin.write(chunk, () => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.#child.pid !== undefined && this.#child.exitCode === null)
      signalGroup(this.#child.pid, "SIGHUP");
    if (this.#child.exitCode === null) signalGroup(this.#child.pid ?? 0, "SIGKILL");
    done(error);
  }
}
