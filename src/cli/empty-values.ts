import type { Command, Option } from "commander";
import { SolsticeError } from "../core/errors.ts";

/**
 * Refuses empty options and arguments: the usual cause is an unset variable in a script, and an empty path would mean the
 * current directory. Throws `usage`. An empty environment variable counts as not set.
 */
export function refuseEmptyValues(command: Command): void {
  const option = command.options.find((one) => isGivenEmpty(one, command));
  if (option !== undefined) throw emptyValue(option.flags, command);
  const at = command.args.indexOf("");
  if (at === -1) return;
  const last = command.registeredArguments.length - 1;
  throw emptyValue(command.registeredArguments[Math.min(at, last)]?.name() ?? "An argument", command);
}

function isGivenEmpty(option: Option, command: Command): boolean {
  const name = option.attributeName();
  const value: unknown = command.getOptionValue(name);
  return (
    command.getOptionValueSource(name) === "cli" &&
    (value === "" || (Array.isArray(value) && value.includes("")))
  );
}

function emptyValue(what: string, command: Command): SolsticeError {
  const names: string[] = [];
  for (let one: Command | null = command; one !== null; one = one.parent) names.unshift(one.name());
  return new SolsticeError("usage", `${what}: the value is empty.`, {
    remedy: `Give it a value, or leave it out. See: ${names.join(" ")} --help`,
  });
}
