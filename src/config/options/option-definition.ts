import type { Parser } from "./option-parsers.ts";

/** One option as data: `--help`, the environment, `docs/reference/configuration.md` and the loader are all made from it. */
export interface OptionDefinition<Value> {
  /** Long flag without its dashes. */
  readonly flag: string;
  /** How the value is named in help, such as `N`. */
  readonly placeholder: string;
  readonly environment: string;
  /** Heading in help. */
  readonly group: string;
  readonly description: string;
  /** The default, written as a user would; null: there is none, or it depends on the host (see `defaultNote`). */
  readonly defaultText: string | null;
  /** Shown instead of `defaultText` where the default depends on the host. */
  readonly defaultNote?: string;
  /** A secret is never repeated in a message. */
  readonly secret?: true;
  readonly parse: Parser<Value>;
}

/** The values that a table of options yields; an option without a default may yield null. */
export type OptionValues<Table> = {
  -readonly [Key in keyof Table]: Table[Key] extends OptionDefinition<infer Value>
    ? Table[Key] extends { readonly defaultText: string }
      ? Value
      : Value | null
    : never;
};

/** The default of an option as `--help` and the documentation show it. */
export function shownDefault(option: OptionDefinition<unknown>): string {
  return option.defaultNote ?? option.defaultText ?? "none";
}
