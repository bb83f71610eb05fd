import { Command } from "commander";
import { projectVersion } from "../host/version.ts";
import type { RegisterCommand } from "./command.ts";
import type { CliContext } from "./context.ts";
import { refuseEmptyValues } from "./empty-values.ts";
import { exitCodeMeanings, exitCodes } from "./print/exit-codes.ts";

/** Every command by its name, in the order of help. One line for each. */
const commands: Readonly<Record<string, () => Promise<RegisterCommand>>> = {
  orchestrator: async () => (await import("./commands/host/orchestrator.ts")).registerOrchestrator,
  enqueue: async () => (await import("./commands/jobs/enqueue.ts")).registerEnqueue,
  jobs: async () => (await import("./commands/jobs/jobs.ts")).registerJobs,
  logs: async () => (await import("./commands/jobs/logs.ts")).registerLogs,
  retry: async () => (await import("./commands/jobs/retry.ts")).registerRetry,
  artifacts: async () => (await import("./commands/jobs/artifacts.ts")).registerArtifacts,
  shell: async () => (await import("./commands/jobs/shell.ts")).registerShell,
  release: async () => (await import("./commands/jobs/release.ts")).registerRelease,
  cancel: async () => (await import("./commands/jobs/cancel.ts")).registerCancel,
  explain: async () => (await import("./commands/jobs/explain.ts")).registerExplain,
  capacity: async () => (await import("./commands/host/capacity.ts")).registerCapacity,
  drain: async () => (await import("./commands/host/drain.ts")).registerDrain,
  cache: async () => (await import("./commands/host/cache.ts")).registerCache,
  images: async () => (await import("./commands/host/images.ts")).registerImages,
  doctor: async () => (await import("./commands/host/doctor.ts")).registerDoctor,
  demo: async () => (await import("./commands/host/demo.ts")).registerDemo,
  completion: async () => (await import("./commands/host/completion.ts")).registerCompletion,
  version: async () => (await import("./version.ts")).registerVersion,
};

/** The command that needs all the others registered. */
const needsAll = "completion";

/** Aliases of commands, from other tools. */
const aliases: Readonly<Record<string, readonly string[]>> = {
  enqueue: ["submit", "run"],
  jobs: ["job", "ls", "list"],
  logs: ["log"],
  artifacts: ["artifact"],
  images: ["image"],
};

/**
 * The command line `solstice` for these arguments. Throws instead of ending the process; the caller reports errors. Loads
 * only the command that the first argument names, or all commands if it names none: loading all would slow down a short
 * command, and cost the daemon memory for its whole life.
 */
export async function createProgram(context: CliContext, args: readonly string[]): Promise<Command> {
  const program = new Command("solstice")
    .description("Self-hosted CI in which every job gets a fresh virtual machine.")
    .version(projectVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [COMMAND...]", "print the help of a command")
    // Options belong to the command or subcommand before them (`images pull --json`).
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      outputError: () => {},
    })
    .showSuggestionAfterError()
    .hook("preAction", (_program, command) => refuseEmptyValues(command))
    .addHelpText("after", `\n${gettingStarted}\n\nExit codes:\n${exitCodesText()}`);
  const firstWord = args[0];
  const isOne = firstWord !== undefined && firstWord !== needsAll && Object.hasOwn(commands, firstWord);
  const names = isOne ? [firstWord] : Object.keys(commands);
  const registrations = await Promise.all(names.map((name) => commands[name]?.()));
  for (const register of registrations) register?.(program, context);
  for (const command of program.commands) command.aliases([...(aliases[command.name()] ?? [])]);
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
