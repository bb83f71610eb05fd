import { shownUrl } from "../../core/text/shown-url.ts";
import type { OptionDefinition, OptionValues } from "./option-definition.ts";

/** The environment as a program receives it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Flags as given on the command line, by the option's name in its table (`maxConcurrency`); absent when not given. */
export type RawFlags = Readonly<Record<string, string | undefined>>;

type OptionTable = Readonly<Record<string, OptionDefinition<unknown>>>;

/** What was read; an option whose text was wrong is absent from `values`, and named in `problems`. */
export interface OptionReading<Table> {
  readonly values: Partial<OptionValues<Table>>;
  readonly problems: readonly string[];
}

/**
 * Reads every option of a table: flag over environment over default. An empty variable counts as not set (that is how
 * unit files and compose files switch one off); an empty flag is a mistake. All problems are returned, not the first.
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

/** What was given for an option: its text, and the flag or variable that it came from. */
export interface GivenText {
  readonly text: string;
  readonly from: string;
  /** Nothing was given: it is the default. */
  readonly isDefault: boolean;
}

/** The text of an option, by flag, environment or default, or null where it has none. */
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
