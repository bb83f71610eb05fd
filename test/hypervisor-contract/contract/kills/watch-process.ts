import childProcess, { type ChildProcess, type SpawnOptions } from "node:child_process";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import { begin, type KillPoint, type Life } from "./steps.ts";
import { beginLife, watchFiles } from "./watch.ts";

/** A backend's definitions of its own steps. */
export interface StepHooks {
  /**
   * Returns the name of a message to a daemon that changes something there, as it is written to a socket; null for
   * any other message.
   */
  readonly nameMessage?: (bytes: Uint8Array) => string | null;
  /** True when a program changes nothing, and so is not a step. */
  readonly onlyLooks?: (program: string, args: readonly string[]) => boolean;
  /**
   * True when a program that is to die halfway does so by itself, because its host was configured so; otherwise it is
   * killed at once.
   */
  readonly haltsItself?: (program: string) => boolean;
}

const signal = process.kill.bind(process);

/**
 * Makes each change that this process makes to its host a step, and kills the process at `point`: changes of files,
 * starts of programs, signals, and messages that the backend names.
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

/**
 * Like {@link watchProcess}, for a process that does more than use its backend: only the programs that it starts are
 * steps.
 */
export function watchProgramsOnly(point: KillPoint, hooks: StepHooks): void {
  watchPrograms(newLife(point), hooks);
  syncBuiltinESMExports();
}

function newLife(point: KillPoint | null): Life {
  return { point, steps: [], isDead: false, die };
}

function die(): never {
  signal(process.pid, "SIGKILL");
  // The signal was sent; the process must do nothing until it arrives.
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
    // The number of single processes to end differs in each life; the number of ended groups does not.
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
