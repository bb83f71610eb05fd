import { Command } from "commander";
import { projectVersion } from "../host/version.ts";
import { registerCancel } from "./cancel.ts";
import { registerCapacity } from "./capacity.ts";
import type { RegisterCommand } from "./command.ts";
import type { CliContext } from "./context.ts";
import { registerDemo } from "./demo.ts";
import { registerDoctor } from "./doctor.ts";
import { registerEnqueue } from "./enqueue.ts";
import { exitCodeMeanings, exitCodes } from "./exit-codes.ts";
import { registerExplain } from "./explain.ts";
import { registerImages } from "./images.ts";
import { registerJobs } from "./jobs.ts";
import { registerLogs } from "./logs.ts";
import { registerOrchestrator } from "./orchestrator.ts";

/** Every command, in the order of help. One line registers one. */
const commands: readonly RegisterCommand[] = [
  registerOrchestrator,
  registerEnqueue,
  registerJobs,
  registerLogs,
  registerCancel,
  registerExplain,
  registerCapacity,
  registerImages,
  registerDoctor,
  registerDemo,
];

/** The command line `solstice`. It throws instead of ending the process, and leaves telling errors to the caller. */
export function createProgram(context: CliContext): Command {
  const program = new Command("solstice")
    .description("Self-hosted CI in which every job gets a fresh virtual machine.")
    .version(projectVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [COMMAND]", "print the help of a command")
    // Options belong to the command they stand behind, also to a command of a command (`images pull --json`).
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      outputError: () => {},
    })
    .showSuggestionAfterError()
    .addHelpText("after", `\n${gettingStarted}\n\nExit codes:\n${exitCodesText()}`);
  for (const register of commands) register(program, context);
  return program;
}

const gettingStarted = `Getting started:
  solstice orchestrator                              start the daemon that runs jobs on this host
  solstice enqueue --script 'make test' --wait       run something at this checkout's commit, and see its log
  solstice COMMAND --help                            everything about one command`;

function exitCodesText(): string {
  const names = Object.keys(exitCodes) as (keyof typeof exitCodes)[];
  return names.map((name) => `  ${String(exitCodes[name]).padEnd(5)}${exitCodeMeanings[name]}`).join("\n");
}
