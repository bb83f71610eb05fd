import { setTimeout as delay } from "node:timers/promises";
import { isSolsticeError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { CommandOptions, CommandResult, RunCommand } from "../../host/command.ts";
import { isBusy, notIllumos, toHostError } from "./errors.ts";

/** Context for the commands of this backend. */
export interface CommandHost {
  readonly run: RunCommand;
  readonly log: Log;
}

/** Every exit code is accepted: the command's output decides. */
const anyExitCode = Array.from({ length: 256 }, (_, code) => code);

/** Pause in ms and time limit in s of retries when another command is at work on the same zone or dataset. */
const busyPauseMs = 500;
const busySeconds = 120;

/** Deadline in s of slow commands: installing a zone or starting bhyve takes seconds, and minutes on a busy pool. */
export const slowSeconds = 600;

/**
 * Runs a command of illumos and returns its result, whatever the exit code. Throws `hypervisor_unavailable` when the
 * command does not exist.
 */
export async function execute(
  host: CommandHost,
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  try {
    return await host.run(program, args, {
      errorCode: "hypervisor_failed",
      remedy: "Check if the host is overloaded, and its log (/var/adm/messages).",
      acceptExitCodes: anyExitCode,
      ...options,
    });
  } catch (error) {
    throw isSolsticeError(error, "host_missing_tool") ? notIllumos(program, error) : error;
  }
}

/** Like {@link execute}, for a command that must succeed; returns its output. Throws the errors of {@link toHostError}. */
export async function executeOrThrow(
  host: CommandHost,
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await execute(host, program, args, options);
  if (result.exitCode !== 0) throw toHostError({ program, args, ...result });
  return result.stdout;
}

/** Like {@link execute}, with retries while another command is at work on the same object, for at most {@link busySeconds}. */
export async function executeWhenFree(
  host: CommandHost,
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const end = performance.now() + busySeconds * 1000;
  for (;;) {
    const result = await execute(host, program, args, options);
    if (result.exitCode === 0 || !isBusy(result) || performance.now() > end) return result;
    await delay(busyPauseMs);
  }
}
