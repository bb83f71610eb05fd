import childProcess, { type ChildProcess, type SpawnOptions } from "node:child_process";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import { join } from "node:path";

/**
 * When a process dies, seen from one of its steps. `before`: nothing of the step was done (and all before it was).
 * `orphaned`: the program was started, or the message sent, and goes on without us. `cut`: it was done by half.
 */
export type Moment = "before" | "orphaned" | "cut";

/** Where a process is to die; step 0 never comes. */
export interface KillPoint {
  readonly step: number;
  readonly moment: Moment;
}

/** What the process says of the step it dies at, on its standard output. */
export interface Death {
  readonly what: string;
  /** The other moments that this step has. */
  readonly moments: readonly Moment[];
}

/** What a backend's module tells of its own steps. */
export interface StepHooks {
  /** Names a message to a daemon that changes something there, as it is written to a socket; null for any other. */
  readonly nameMessage?: (bytes: Uint8Array) => string | null;
  /** Whether a program changes nothing, and so is no step. */
  readonly onlyLooks?: (program: string, args: readonly string[]) => boolean;
  /** Has the program, which is started next, die halfway by itself, and is true; else it is killed at once. */
  readonly haltHalfway?: (program: string, args: readonly string[]) => boolean;
}

interface Step {
  readonly what: string;
  /** Does half of it. */
  readonly cut?: (() => unknown) | undefined;
}

let point: KillPoint = { step: 0, moment: "before" };
let hooks: StepHooks = {};
let steps = 0;

/** Counts from now on, and dies at `killPoint`: `watchSteps` must have been called before. */
export function dieAt(killPoint: KillPoint, stepHooks: StepHooks): void {
  steps = 0;
  point = killPoint;
  hooks = stepHooks;
}

/**
 * Makes every change that this process does to its host a step: files written, made, renamed, removed (by
 * `node:fs/promises`), programs started, signals sent, and messages that the backend names. Nothing is replaced: each step
 * does what it did.
 */
export function watchSteps(): void {
  watchFiles();
  watchPrograms();
  watchSignals();
  watchMessages();
  syncBuiltinESMExports();
}

const signal = process.kill.bind(process);

function die(death: Death): never {
  fs.writeSync(1, `${JSON.stringify(death)}\n`);
  signal(process.pid, "SIGKILL");
  // The signal is on its way; nothing may happen until it is there.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
}

/** Counts a step; dies before it, or tells how else it has to die in it. */
function begin(what: string, moments: readonly Moment[]): Moment | null {
  steps += 1;
  if (steps !== point.step) return null;
  if (point.moment === "before") die({ what, moments });
  return moments.includes(point.moment) ? point.moment : null;
}

type AsyncFunction = (...args: unknown[]) => Promise<unknown>;

function watchFiles(): void {
  const names = [
    "mkdir",
    "rename",
    "unlink",
    "rmdir",
    "chmod",
    "chown",
    "symlink",
    "link",
    "copyFile",
    "truncate",
  ];
  const files = fs.promises as unknown as Record<string, AsyncFunction>;
  for (const name of names) watchFile(files, name, () => undefined);
  watchFile(files, "writeFile", ([path, content]) => {
    if (typeof path !== "string" || typeof content !== "string") return undefined;
    return () => fs.writeFileSync(path, content.slice(0, content.length / 2));
  });
  watchFile(
    files,
    "rm",
    ([path]) =>
      () =>
        removeHalf(String(path)),
  );
  const open = files.open as AsyncFunction;
  files.open = (...args) => {
    if (typeof args[1] === "string" && /[wa+]/.test(args[1])) begin(`open ${args[0]} to write`, []);
    return open(...args);
  };
}

function watchFile(
  files: Record<string, AsyncFunction>,
  name: string,
  cutOf: (args: unknown[]) => Step["cut"],
): void {
  const original = files[name] as AsyncFunction;
  files[name] = async (...args) => {
    const cut = cutOf(args);
    const what = `${name} ${args[0]}`;
    if (begin(what, cut ? ["cut"] : []) === "cut") {
      cut?.();
      die({ what, moments: [] });
    }
    return original(...args);
  };
}

/** Every second entry, from the last on: a killed `rm` leaves any of them. */
function removeHalf(path: string): void {
  if (!fs.statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  const entries = fs.readdirSync(path).reverse();
  for (const [index, entry] of entries.entries()) {
    if (index % 2 === 0) fs.rmSync(join(path, entry), { recursive: true });
  }
}

function watchPrograms(): void {
  const spawn = childProcess.spawn;
  const watched = (program: string, args: readonly string[], options: SpawnOptions): ChildProcess => {
    if (hooks.onlyLooks?.(program, args)) return spawn(program, args, options);
    const what = `${program} ${args.join(" ")}`.replaceAll("\n", " ");
    const moment = begin(what, ["orphaned", "cut"]);
    if (moment === null) return spawn(program, args, options);
    const haltsItself = moment === "cut" && hooks.haltHalfway?.(program, args) === true;
    const child = spawn(program, args, options);
    if (moment === "orphaned") die({ what, moments: [] });
    if (haltsItself) child.once("exit", () => die({ what, moments: [] }));
    else {
      if (child.pid !== undefined) signal(options.detached ? -child.pid : child.pid, "SIGKILL");
      die({ what, moments: [] });
    }
    return child;
  };
  childProcess.spawn = watched as typeof spawn;
}

function watchSignals(): void {
  process.kill = (pid, name) => {
    // How many single processes are to be ended differs from life to life; the ends of groups do not.
    if (name !== 0 && pid < 0) begin(`signal ${name} to a group`, []);
    return signal(pid, name);
  };
}

function watchMessages(): void {
  const write = net.Socket.prototype.write;
  net.Socket.prototype.write = function (this: net.Socket, ...args: unknown[]): boolean {
    const [bytes] = args;
    const name = bytes instanceof Uint8Array ? (hooks.nameMessage?.(bytes) ?? null) : null;
    const moment = name === null ? null : begin(name, ["orphaned"]);
    const call = write as (...args: unknown[]) => boolean;
    if (moment === null || name === null) return call.apply(this, args);
    return call.call(this, bytes, () => die({ what: name, moments: [] }));
  } as typeof write;
}
