/** Options as getopt(3C) reads them: the given letters, the values, and the remaining operands. */
export interface Options {
  readonly given: ReadonlySet<string>;
  /** Values in the order of the command line. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

/** An option to which getopt(3C) would respond with `?` or `:`. */
export class BadOption extends Error {
  readonly letter: string;
  readonly lacksValue: boolean;

  constructor(letter: string, lacksValue: boolean) {
    super(`option ${letter}`);
    this.letter = letter;
    this.lacksValue = lacksValue;
  }
}

/** Reads `args` by `spec` (`"pV:"`: -p, and -V with a value); throws {@link BadOption}. */
export function getopt(args: readonly string[], spec: string): Options {
  const given = new Set<string>();
  const values = new Map<string, string[]>();
  let index = 0;
  for (; index < args.length; index += 1) {
    const argument = args[index] ?? "";
    if (argument === "--") {
      index += 1;
      break;
    }
    if (!argument.startsWith("-") || argument === "-") break;
    index += readCluster(argument.slice(1), args[index + 1]);
  }
  return { given, values, operands: args.slice(index) };

  /** Number of further arguments that the letters took. */
  function readCluster(letters: string, following: string | undefined): number {
    for (let at = 0; at < letters.length; at += 1) {
      const letter = letters[at] ?? "";
      const place = letter === ":" ? -1 : spec.indexOf(letter);
      if (place < 0) throw new BadOption(letter, false);
      given.add(letter);
      if (spec[place + 1] !== ":") continue;
      const attached = letters.slice(at + 1);
      const value = attached || following;
      if (value === undefined) throw new BadOption(letter, true);
      values.set(letter, [...(values.get(letter) ?? []), value]);
      return attached ? 0 : 1;
    }
    return 0;
  }
}

/** The last value of an option. */
export function optionValue(options: Options, letter: string): string | undefined {
  return options.values.get(letter)?.at(-1);
}
