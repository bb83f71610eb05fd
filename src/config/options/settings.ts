import type { Setting } from "../orchestrator-config.ts";
import type { OptionDefinition } from "./option-definition.ts";
import { type Environment, givenText, type RawFlags } from "./read-options.ts";

type OptionTable = Readonly<Record<string, OptionDefinition<unknown>>>;

/** Every option of `table` that has a valid value, from flag, environment or default. The value of a secret is null. */
export function readSettings(table: OptionTable, flags: RawFlags, env: Environment): Setting[] {
  return Object.entries(table).flatMap(([name, option]) => {
    const given = givenText(option, flags[name], env);
    const parsed = given === null ? null : option.parse(given.text);
    if (given === null || parsed === null || !("value" in parsed)) return [];
    const { flag } = option;
    const plain = typeof parsed.value === "string" ? parsed.value : given.text;
    const { from, isDefault } = given;
    return [{ flag, value: option.secret ? null : plain, from, isDefault }];
  });
}
