import {
  type CommandOptions,
  checkResult,
  commandDefaults,
  type RunCommand,
  runCommand,
} from "../../src/host/command.ts";
import { commands, type Dispatch } from "./dispatch.ts";

/**
 * Runs the stand-in's commands by `dispatch`, with the limits, results and errors of `runCommand`; runs other
 * programs with `runCommand`.
 */
export function runnerOf(dispatch: Dispatch): RunCommand {
  return async (program, args, options = {}) => {
    if (commands[program] === undefined) return runCommand(program, args, options);
    options.signal?.throwIfAborted();
    const deadlineSeconds = options.deadlineSeconds ?? commandDefaults.deadlineSeconds;
    const late = AbortSignal.timeout(deadlineSeconds * 1000);
    const answer = await dispatch(program, args, killedBy(options, late));
    options.signal?.throwIfAborted();
    const { exitCode, stdout, stderr } = answer;
    const end = exitCode === null ? ({ signal: "SIGKILL" } as const) : { exitCode };
    return checkResult(
      program,
      { ...end, stdout, stderr, isMaxBuffer: false },
      { ...options, lateAfter: late.aborted && exitCode === null ? deadlineSeconds : null },
    );
  };
}

function killedBy({ signal }: CommandOptions, late: AbortSignal): AbortSignal {
  return signal === undefined ? late : AbortSignal.any([signal, late]);
}
