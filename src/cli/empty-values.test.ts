import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import type { Command } from "commander";
import { isSolsticeError } from "../core/errors.ts";
import type { CliContext } from "./context.ts";
import { createProgram } from "./program.ts";

/** The whole command line, with commands that do nothing. */
async function idleProgram(): Promise<Command> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const context = { stdout, stderr, stdin: process.stdin, now: Date.now, env: {} } as unknown as CliContext;
  const program = await createProgram(context, []);
  for (const command of commandsOf(program)) command.action(() => {});
  return program;
}

function commandsOf(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...commandsOf(child)]);
}

/** The words that lead to a command. */
function pathOf(command: Command): string[] {
  return command.parent === null ? [] : [...pathOf(command.parent), command.name()];
}

/** A command line for each option and argument, with an empty value for it and valid values elsewhere. */
function emptyLines(program: Command): string[][] {
  return commandsOf(program).flatMap((command) => {
    const needed = command.registeredArguments.filter(({ required }) => required).map(exampleOf);
    const options = command.options.filter(({ required }) => required);
    const places = command.registeredArguments.map((_, at) => at);
    return [
      ...options.flatMap(({ long }) => (long ? [[...pathOf(command), ...needed, long, ""]] : [])),
      ...places.map((at) => [...pathOf(command), ...needed.slice(0, at), ""]),
    ];
  });
}

function exampleOf({ argChoices }: { argChoices?: string[] | undefined }): string {
  return argChoices?.[0] ?? "word";
}

test("each option and argument of each command refuses an empty value", async () => {
  const lines = emptyLines(await idleProgram());
  assert.ok(lines.length > 100, `${lines.length} lines`);
  for (const line of lines) {
    const outcome = await (await idleProgram()).parseAsync(line, { from: "user" }).then(
      () => "taken",
      (error: unknown) => error,
    );
    assert.notEqual(outcome, "taken", JSON.stringify(line));
    if (isSolsticeError(outcome)) assert.equal(outcome.code, "usage");
  }
});
