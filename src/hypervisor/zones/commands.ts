import { setTimeout as delay } from "node:timers/promises";
import { isSolsticeError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { CommandOptions, CommandResult, RunCommand } from "../../host/command.ts";
import { isBusy, notIllumos, toHostError } from "./errors.ts";

/** What every command of this backend needs to run. */
export interface CommandHost {
  readonly run: RunCommand;
  readonly log: Log;
}

/** Every exit code is an answer here: what a command said decides what it means. */
const anyExitCode = Array.from({ length: 256 }, (_, code) => code);

/** How often, in ms, and how long, in s, a command is tried again that found another one at work on the same zone or dataset. */
const busyPauseMs = 500;
const busySeconds = 120;

/** Installing a zone and starting bhyve take seconds; a pool that is busy makes it minutes. */
export const slowSeconds = 600;

/** Runs a command of illumos and returns what it answered, whatever that is. Throws `hypervisor_unavailable` where it is not there. */
export async function ask(
  host: CommandHost,
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  try {
    return await host.run(program, args, {
      errorCode: "hypervisor_failed",
      remedy: "See whether the host is overloaded, and what its log says (/var/adm/messages).",
      acceptExitCodes: anyExitCode,
      ...options,
    });
  } catch (error) {
    throw isSolsticeError(error, "host_missing_tool") ? notIllumos(program, error) : error;
  }
}

/** As {@link ask}, for a command that must succeed; returns its output. Throws as {@link toHostError} translates. */
export async function succeed(
  host: CommandHost,
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await ask(host, program, args, options);
  if (result.exitCode !== 0) throw toHostError({ program, args, ...result });
  return result.stdout;
}

/** As {@link ask}, again while another command is at work on the same thing, for at most {@link busySeconds}. */
export async function askInTurn(
  host: CommandHost,
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const end = performance.now() + busySeconds * 1000;
  for (;;) {
    const result = await ask(host, program, args, options);
    if (result.exitCode === 0 || !isBusy(result) || performance.now() > end) return result;
    await delay(busyPauseMs);
  }
}
