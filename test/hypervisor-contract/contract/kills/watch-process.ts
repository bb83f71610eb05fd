import childProcess, { type ChildProcess, type SpawnOptions } from "node:child_process";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import { begin, type KillPoint, type Life } from "./steps.ts";
import { beginLife, watchFiles } from "./watch.ts";

/** What a backend's module says of its own steps. */
export interface StepHooks {
  /** Names a message to a daemon that changes something there, as it is written to a socket; null for any other. */
  readonly nameMessage?: (bytes: Uint8Array) => string | null;
  /** Whether a program changes nothing, and so is no step. */
  readonly onlyLooks?: (program: string, args: readonly string[]) => boolean;
  /** Whether a program that is to die halfway does so by itself, since its host was told to; else it is killed at once. */
  readonly haltsItself?: (program: string) => boolean;
}

const signal = process.kill.bind(process);

/**
 * Makes every change that this process does to its host a step, and kills the process at `point`: files, programs started,
 * signals sent, and messages that the backend names.
 */
export function watchProcess(point: KillPoint | null, hooks: StepHooks): Life {
  const life = newLife(point);
  watchFiles();
  watchPrograms(life, hooks);
  watchSignals(life);
  watchMessages(life, hooks);
  syncBuiltinESMExports();
  beginLife(life);
  return life;
}

/** As {@link watchProcess}, for a process that does much beside its backend: only the programs that it starts are steps. */
export function watchProgramsOnly(point: KillPoint, hooks: StepHooks): void {
  watchPrograms(newLife(point), hooks);
  syncBuiltinESMExports();
}

function newLife(point: KillPoint | null): Life {
  return { point, steps: [], isDead: false, die };
}

function die(): never {
  signal(process.pid, "SIGKILL");
  // The signal is on its way; nothing may happen until it is there.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
}

function watchPrograms(life: Life, hooks: StepHooks): void {
  const spawn = childProcess.spawn;
  const watched = (program: string, args: readonly string[], options: SpawnOptions): ChildProcess => {
    if (hooks.onlyLooks?.(program, args)) return spawn(program, args, options);
    const moment = begin(life, `${program} ${args.join(" ")}`, ["orphaned", "cut"]);
    if (moment === "before") die();
    const child = spawn(program, args, options);
    if (moment === "orphaned") die();
    if (moment === "cut" && hooks.haltsItself?.(program)) child.once("exit", die);
    else if (moment === "cut") {
      if (child.pid !== undefined) signal(options.detached ? -child.pid : child.pid, "SIGKILL");
      die();
    }
    return child;
  };
  childProcess.spawn = watched as typeof spawn;
}

function watchSignals(life: Life): void {
  process.kill = (pid, name) => {
    // How many single processes are to be ended differs from life to life; the ends of groups do not.
    if (name !== 0 && pid < 0 && begin(life, `signal ${name} to a group`, []) !== null) die();
    return signal(pid, name);
  };
}

function watchMessages(life: Life, { nameMessage }: StepHooks): void {
  const write = net.Socket.prototype.write;
  net.Socket.prototype.write = function (this: net.Socket, ...args: unknown[]): boolean {
    const [bytes] = args;
    const name = bytes instanceof Uint8Array ? (nameMessage?.(bytes) ?? null) : null;
    const moment = name === null ? null : begin(life, name, ["orphaned"]);
    if (moment === "before") die();
    const call = write as (...args: unknown[]) => boolean;
    if (moment === null) return call.apply(this, args);
    return call.call(this, bytes, () => die());
  } as typeof write;
}
