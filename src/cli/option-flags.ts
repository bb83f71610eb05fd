import { type Command, InvalidArgumentError, Option } from "commander";
import { type OptionDefinition, shownDefault } from "../config/options/option-definition.ts";
import { duration } from "../config/options/option-parsers.ts";
import type { RawFlags } from "../config/options/read-options.ts";

/**
 * Adds a table of options to a command, so that `--help` shows flag, environment and default of each. Commander only shows
 * them; `src/config` reads and checks the values, and reports all problems at once.
 */
export function addOptions(
  command: Command,
  table: Readonly<Record<string, OptionDefinition<unknown>>>,
): Command {
  for (const definition of Object.values(table)) {
    const option = new Option(`--${definition.flag} <${definition.placeholder}>`, definition.description);
    option.env(definition.environment).default(undefined, shownDefault(definition));
    // Commander shows the text only if there is a default value; this value is never read.
    option.defaultValue = shownDefault(definition);
    command.addOption(option.helpGroup(definition.group));
  }
  return command;
}

/** The flags on the command line, without defaults and without values that commander read from the environment. */
export function flagsGiven(command: Command): RawFlags {
  const given: Record<string, string> = {};
  for (const option of command.options) {
    const name = option.attributeName();
    const value: unknown = command.getOptionValue(name);
    if (command.getOptionValueSource(name) === "cli" && typeof value === "string") given[name] = value;
  }
  return given;
}

/** Parses the argument of an option that is a time span, in seconds. Throws commander's error. */
export function parseTime(text: string): number {
  const parsed = duration(text);
  if ("value" in parsed) return parsed.value;
  throw new InvalidArgumentError(`It needs ${parsed.expected}.`);
}
