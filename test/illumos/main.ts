import { appendFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Command, Context } from "./host/context.ts";
import { CommandFailure } from "./host/failure.ts";
import { type FaultEffect, hasFault, takeFaults } from "./host/faults.ts";
import { openState } from "./host/state.ts";
import { tearDownEnded } from "./zones/teardown.ts";

/** A command that hangs gives up after this, so that a killed test leaves nothing running for ever. */
const longestHangMs = 3_600_000;
/** Output beyond this is not repeated in the log of commands. */
const loggedBytes = 64 * 1024;

/** Loaded by name: a command does not pay for the others. */
const commands: Record<string, () => Promise<Command>> = {
  zfs: async () => (await import("./zfs/zfs.ts")).zfs,
  zpool: async () => (await import("./zfs/zpool.ts")).zpool,
  zonecfg: async () => (await import("./zones/zonecfg.ts")).zonecfg,
  zoneadm: async () => (await import("./zones/zoneadm.ts")).zoneadm,
  zonename: async () => (await import("./zones/zonename.ts")).zonename,
  dladm: async () => (await import("./network/dladm.ts")).dladm,
  ipadm: async () => (await import("./network/ipadm.ts")).ipadm,
  dd: async () => (await import("./disk/dd.ts")).dd,
};

const directory = process.env.SOLSTICE_STAND_IN;
const [name = "", ...args] = process.argv.slice(2);
const begun = Date.now();
const said = { stdout: "", stderr: "" };

function log(exitCode: number | null): void {
  const [stdout, stderr] = [said.stdout.slice(0, loggedBytes), said.stderr.slice(0, loggedBytes)];
  const entry = { command: name, args, exitCode, stdout, stderr, ms: Date.now() - begun };
  appendFileSync(join(directory ?? "", "commands.jsonl"), `${JSON.stringify(entry)}\n`);
}

/** Ends as a killed command does: no word, no exit code, whatever was done stays done. */
function die(): void {
  log(null);
  process.kill(process.pid, "SIGKILL");
}

async function main(): Promise<number> {
  if (!directory) throw new Error("SOLSTICE_STAND_IN does not name the stand-in's directory");
  const command = await commands[name]?.();
  if (!command) throw new Error(`the stand-in has no command '${name}'`);
  const database = openState(directory);
  const effects = takeFaults(database, name, args);
  const dies = (when: string) => effects.some(({ effect }) => effect.kind === "die" && effect.when === when);
  for (const { id, effect } of effects) await endure(effect, () => hasFault(database, id));
  const context: Context = {
    directory,
    database,
    out: (line) => {
      said.stdout += `${line}\n`;
    },
    err: (line) => {
      said.stderr += `${line}\n`;
    },
    halfway: () => {
      if (dies("halfway")) die();
    },
  };
  if (dies("before")) die();
  tearDownEnded(context);
  const exitCode = (await command(context, args)) ?? 0;
  if (dies("after")) die();
  return exitCode;
}

async function endure(effect: FaultEffect, isOrdered: () => boolean): Promise<void> {
  if (effect.kind === "fail") throw new CommandFailure(effect.stderr, effect.exitCode);
  if (effect.kind === "delay") await new Promise((resolve) => setTimeout(resolve, effect.ms));
  if (effect.kind !== "hang") return;
  const deadline = Date.now() + longestHangMs;
  while (isOrdered() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
}

function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(descriptor, bytes, done);
    } catch (error) {
      // A pipe that is full; its reader is slow, or gone (EPIPE ends us as it would end any command).
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
    }
  }
}

let exitCode = 0;
try {
  exitCode = await main();
} catch (error) {
  exitCode = error instanceof CommandFailure ? error.exitCode : 70;
  const text = error instanceof CommandFailure ? error.message : `stand-in: ${(error as Error).stack}`;
  if (text) said.stderr += text.endsWith("\n") ? text : `${text}\n`;
}
log(exitCode);
writeAll(1, said.stdout);
writeAll(2, said.stderr);
process.exit(exitCode);
