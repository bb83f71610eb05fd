import { shownUrl } from "../../core/text/shown-url.ts";
import type { OptionDefinition, OptionValues } from "./option-definition.ts";

/** The environment of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Flags of the command line, by the option's name in its table (`maxConcurrency`); a flag that was not given is absent. */
export type RawFlags = Readonly<Record<string, string | undefined>>;

type OptionTable = Readonly<Record<string, OptionDefinition<unknown>>>;

/** The result of reading options. An option with an invalid text is absent from `values`, and named in `problems`. */
export interface OptionReading<Table> {
  readonly values: Partial<OptionValues<Table>>;
  readonly problems: readonly string[];
}

/**
 * Reads every option of a table: a flag has priority over the environment, which has priority over the default. An empty
 * variable counts as not set, because unit files and compose files unset variables so; an empty flag is an error. Returns all
 * problems.
 */
export function readOptions<Table extends OptionTable>(
  table: Table,
  flags: RawFlags,
  env: Environment,
): OptionReading<Table> {
  const values: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [name, option] of Object.entries(table)) {
    const given = givenText(option, flags[name], env);
    if (given === null) {
      values[name] = null;
      continue;
    }
    const parsed = option.parse(given.text);
    if ("value" in parsed) values[name] = parsed.value;
    else problems.push(`${given.from}: got ${shown(option, given.text)}; needs ${parsed.expected}.`);
  }
  return { values: values as Partial<OptionValues<Table>>, problems };
}

/** The text of an option, and the flag or variable that it came from. */
export interface GivenText {
  readonly text: string;
  readonly from: string;
  /** True for the default, if neither flag nor variable was given. */
  readonly isDefault: boolean;
}

/** The text of an option from flag, environment or default; null without one. */
export function givenText(
  option: OptionDefinition<unknown>,
  flag: string | undefined,
  env: Environment,
): GivenText | null {
  const asFlag = `--${option.flag}`;
  if (flag !== undefined) return { text: flag, from: asFlag, isDefault: false };
  const variable = env[option.environment];
  if (variable !== undefined && variable !== "") {
    return { text: variable, from: option.environment, isDefault: false };
  }
  return option.defaultText === null ? null : { text: option.defaultText, from: asFlag, isDefault: true };
}

function shown(option: OptionDefinition<unknown>, text: string): string {
  return option.secret ? "a value that cannot be used (not shown)" : JSON.stringify(shownUrl(text));
}
