import type { DatabaseSync } from "node:sqlite";
import { dd } from "./disk/dd.ts";
import { type Command, type Context, pause } from "./host/context.ts";
import { CommandDeath, CommandFailure } from "./host/failure.ts";
import { type FaultEffect, hasFault, takeFaults } from "./host/faults.ts";
import { dladm } from "./network/dladm.ts";
import { ipadm } from "./network/ipadm.ts";
import { zfs } from "./zfs/zfs.ts";
import { zpool } from "./zfs/zpool.ts";
import { zonecfg } from "./zonecfg/zonecfg.ts";
import { tearDownEnded } from "./zones/teardown.ts";
import { zoneadm } from "./zones/zoneadm/zoneadm.ts";
import { zonename } from "./zones/zonename.ts";

/** Time limit of a command that hangs. */
const longestHangMs = 3_600_000;
const hangLookMs = 5;

/** The exit code of a command that fails for a reason of the stand-in itself. */
const brokenExitCode = 70;

/** All commands of the stand-in. */
export const commands: Readonly<Record<string, Command>> = {
  ...{ zfs, zpool, zonecfg, zoneadm, zonename, dladm, ipadm, dd },
};

/** The log entry of a command. */
export interface LoggedCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** Null for a command that was killed. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** Runs a command and resolves with its result, also when it fails. `signal` kills the command. */
export type Dispatch = (
  command: string,
  args: readonly string[],
  signal?: AbortSignal,
) => Promise<LoggedCommand>;

/** Runs commands in this process, on one host, and adds each to `log` at its end. */
export function createDispatch(
  host: { readonly directory: string; readonly database: DatabaseSync },
  log: LoggedCommand[],
): Dispatch {
  return async (command, args, signal = new AbortController().signal) => {
    const begun = Date.now();
    const output = { stdout: "", stderr: "" };
    const exitCode = await run({ ...host, signal, command, args, output });
    const entry = { command, args, exitCode, ...output, ms: Date.now() - begun };
    log.push(entry);
    return entry;
  };
}

interface Call extends Pick<Context, "directory" | "database" | "signal"> {
  readonly command: string;
  readonly args: readonly string[];
  readonly output: { stdout: string; stderr: string };
}

async function run(call: Call): Promise<number | null> {
  try {
    return await perform(call);
  } catch (error) {
    if (error instanceof CommandDeath) {
      // A killed command loses its output, which was still in a pipe.
      Object.assign(call.output, { stdout: "", stderr: "" });
      return null;
    }
    const isRefusal = error instanceof CommandFailure;
    const text = isRefusal ? error.message : `stand-in: ${(error as Error).stack}`;
    if (text) call.output.stderr += text.endsWith("\n") ? text : `${text}\n`;
    return isRefusal ? error.exitCode : brokenExitCode;
  }
}

async function perform(call: Call): Promise<number> {
  const { directory, database, signal, command, args, output } = call;
  const perform = commands[command];
  if (perform === undefined) throw new Error(`the stand-in has no command '${command}'`);
  const effects = takeFaults(database, command, args);
  const dieIf = (when: "before" | "halfway" | "after") => {
    if (effects.some(({ effect }) => effect.kind === "die" && effect.when === when)) throw new CommandDeath();
  };
  for (const { id, effect } of effects) await waitAfter(call, effect, () => hasFault(database, id));
  const context: Context = {
    ...{ directory, database, signal },
    out: (line) => {
      output.stdout += `${line}\n`;
    },
    err: (line) => {
      output.stderr += `${line}\n`;
    },
    halfway: () => dieIf("halfway"),
  };
  dieIf("before");
  tearDownEnded(context);
  const exitCode = (await perform(context, args)) ?? 0;
  dieIf("after");
  return exitCode;
}

async function waitAfter(call: Call, effect: FaultEffect, isOrdered: () => boolean): Promise<void> {
  if (effect.kind === "fail") throw new CommandFailure(effect.stderr, effect.exitCode);
  if (effect.kind === "delay") await pause(call, effect.ms);
  if (effect.kind !== "hang") return;
  const deadline = Date.now() + longestHangMs;
  while (isOrdered() && Date.now() < deadline) await pause(call, hangLookMs);
}
