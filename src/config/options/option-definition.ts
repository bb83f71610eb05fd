import type { Parser } from "./option-parsers.ts";

/** One option as data, used by `--help`, the loader, and the test of `docs/reference/configuration.md`. */
export interface OptionDefinition<Value> {
  /** Long flag without its dashes. */
  readonly flag: string;
  /** The value's name in help, such as `N`. */
  readonly placeholder: string;
  readonly environment: string;
  /** Heading in help. */
  readonly group: string;
  readonly description: string;
  /** The default, as a user would write it. Null: no default, or one that depends on the host (see `defaultNote`). */
  readonly defaultText: string | null;
  /** The text that describes a default which depends on the host; shown instead of `defaultText`. */
  readonly defaultNote?: string;
  /** True for a secret, which no message repeats. */
  readonly secret?: true;
  readonly parse: Parser<Value>;
}

/** The written part of an option. Its flag, variable and group follow from its name and its table. */
export interface WrittenOption<Value>
  extends Omit<OptionDefinition<Value>, "flag" | "environment" | "group"> {
  /** The variable, if it is not the flag in capitals. */
  readonly environment?: string;
}

/** Options with flag, variable and group, from {@link defineOptions}. */
type CompleteOptions<Table> = {
  readonly [Name in keyof Table]: Table[Name] &
    Pick<OptionDefinition<unknown>, "flag" | "environment" | "group">;
};

/**
 * Completes a table of options of one group. Flag and variable follow from an option's name: `maxQueued` gives `--max-queued`
 * and `MAX_QUEUED`.
 */
export function defineOptions<const Table extends Readonly<Record<string, WrittenOption<unknown>>>>(
  group: string,
  table: Table,
): CompleteOptions<Table> {
  const options = Object.entries(table).map(([name, option]) => {
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return [name, { flag, environment: flag.replaceAll("-", "_").toUpperCase(), group, ...option }];
  });
  return Object.fromEntries(options);
}

/** The values of a table of options; the value of an option without a default may be null. */
export type OptionValues<Table> = {
  -readonly [Key in keyof Table]: Table[Key] extends OptionDefinition<infer Value>
    ? Table[Key] extends { readonly defaultText: string }
      ? Value
      : Value | null
    : never;
};

/** The default of an option, as `--help` and the documentation show it. */
export function shownDefault(option: OptionDefinition<unknown>): string {
  return option.defaultNote ?? option.defaultText ?? "none";
}
