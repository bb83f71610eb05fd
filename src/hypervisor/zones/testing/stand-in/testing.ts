import { join } from "node:path";
import { type CommandResult, runCommand } from "../../../../host/command.ts";
import type { StandIn } from "./stand-in.ts";

/** Every exit code is an answer here. */
const anyExitCode = Array.from({ length: 256 }, (_, code) => code);

/** Runs a command of the stand-in; its answer, whatever the exit code. */
export function runIn(standIn: StandIn, command: string, ...args: string[]): Promise<CommandResult> {
  const variables = [`PATH=${standIn.environment.PATH}`, `SOLSTICE_STAND_IN=${standIn.directory}`];
  return runCommand("env", [...variables, command, ...args], { acceptExitCodes: anyExitCode });
}

/** Runs a command that must succeed; its stdout. */
export async function must(standIn: StandIn, command: string, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runIn(standIn, command, ...args);
  if (exitCode !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** The configuration of a zone with a guest, as an operator would write it; further commands at its end. */
export function zoneCommands(standIn: StandIn, zone: string, more = ""): string {
  const zonepath = join(standIn.directory, "rpool/zones", zone);
  return `create -F -b; set brand=bhyve; set zonepath=${zonepath}; set ip-type=exclusive; set autoboot=false; ${more}`;
}
