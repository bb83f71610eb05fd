import { appendFileSync, writeFileSync } from "node:fs";
import { isSolsticeError } from "../../../src/core/errors.ts";
import type { CommandResult, RunCommand } from "../../../src/host/command.ts";
import type { TranscriptEntry } from "./entry.ts";

/** Output of a command beyond this is not kept, in characters. */
const MAX_OUTPUT = 64 * 1024;

/** Writes down what commands are run, and what they answer. */
export interface Recorder {
  /** The test that runs from now on. */
  begin(test: string): void;
  /** Runs commands as `run` does, and keeps a line of each. What they read (their input) is not kept. */
  recording(run: RunCommand): RunCommand;
}

/** A recorder that makes `file` again. A line is written when its command has ended, so that a crash keeps all before. */
export function createRecorder(file: string): Recorder {
  writeFileSync(file, "");
  let test = "before the tests";
  return {
    begin(name) {
      test = name;
    },
    recording: (run) => async (command, args, options) => {
      const begun = performance.now();
      const startedFor = test;
      const keep = (answer: Answer) => {
        const ms = Math.round(performance.now() - begun);
        const { exitCode, stdout, stderr } = answer;
        const said = { stdout: stdout.slice(0, MAX_OUTPUT), stderr: stderr.slice(0, MAX_OUTPUT) };
        const entry: TranscriptEntry = {
          test: startedFor,
          command,
          arguments: [...args],
          exitCode,
          ...said,
          ms,
        };
        appendFileSync(file, `${JSON.stringify(entry)}\n`);
      };
      try {
        const result = await run(command, args, options);
        keep(result);
        return result;
      } catch (error) {
        keep(answerOf(error));
        throw error;
      }
    },
  };
}

type Answer = Omit<CommandResult, "exitCode"> & { readonly exitCode: number | null };

/** What a command said that failed: the error of `runCommand` has it as its cause. */
function answerOf(error: unknown): Answer {
  const cause = isSolsticeError(error) ? error.cause : undefined;
  const { exitCode, stdout, stderr } = (cause ?? {}) as Partial<Record<keyof CommandResult, unknown>>;
  return {
    exitCode: typeof exitCode === "number" ? exitCode : null,
    stdout: typeof stdout === "string" ? stdout : "",
    stderr: typeof stderr === "string" ? stderr : "",
  };
}
