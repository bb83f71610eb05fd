/** The content of a file of variables: the variables, and the invalid lines with their numbers. */
export interface EnvironmentReading {
  readonly variables: ReadonlyMap<string, string>;
  readonly problems: readonly { readonly line: number; readonly problem: string }[];
}

/** The parser's state within a line. */
type Place =
  | "line_start"
  | "comment"
  | "name"
  | "value_start"
  | "value"
  | "value_escape"
  | "single_quoted"
  | "double_quoted"
  | "double_quoted_escape";

/** The assignment that is being parsed; blanks within the first `keep` characters of the value are part of it. */
interface Entry {
  name: string;
  value: string;
  keep: number;
  line: number;
}

/** The characters that a backslash escapes in double quotes. */
const escapedInQuotes = /["\\`$]/;

const nameForm = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Reads `NAME=value` lines as systemd reads an `EnvironmentFile=` (env-file.c): comments begin with # or ;, a value may be in single
 * or double quotes, also in part, a backslash keeps the next character or joins the next line, and blanks around a value do not count.
 * Difference: an invalid line, which systemd ignores, is a problem here.
 */
export function parseEnvironment(text: string): EnvironmentReading {
  const variables = new Map<string, string>();
  const problems: { line: number; problem: string }[] = [];
  let place: Place = "line_start";
  let line = 1;
  let entry: Entry = newEntry(line);
  const finish = () => {
    const name = entry.name.trimEnd();
    if (nameForm.test(name))
      variables.set(name, entry.value.slice(0, Math.max(entry.keep, trimmed(entry.value))));
    else
      problems.push({ line: entry.line, problem: "no valid variable name before the =; needs NAME=value" });
    place = "line_start";
  };
  for (const char of text) {
    if (place === "line_start") entry = newEntry(line);
    const before: Place = place;
    place = steps[before](char, entry);
    if (char === "\n") line += 1;
    if (place === "line_start" && before === "name")
      problems.push({ line: entry.line, problem: "no =; needs NAME=value" });
    else if (place === "line_start" && isInValue(before)) finish();
  }
  if (place === "name") problems.push({ line: entry.line, problem: "no =; needs NAME=value" });
  else if (isInValue(place)) finish();
  return { variables, problems };
}

function newEntry(line: number): Entry {
  return { name: "", value: "", keep: 0, line };
}

function isInValue(place: Place): boolean {
  return place !== "line_start" && place !== "comment" && place !== "name";
}

/** The length without blanks at the end. */
function trimmed(value: string): number {
  return value.trimEnd().length;
}

/** Adds a character that is kept even if it is a blank at the end. */
function keepChar(entry: Entry, char: string): void {
  entry.value += char;
  entry.keep = entry.value.length;
}

const isLineEnd = (char: string) => char === "\n" || char === "\r";
const isBlank = (char: string) => char === " " || char === "\t" || isLineEnd(char);

/** The next state, for each state and the next character. */
const steps: Readonly<Record<Place, (char: string, entry: Entry) => Place>> = {
  line_start(char, entry) {
    if (char === "#" || char === ";") return "comment";
    if (isBlank(char)) return "line_start";
    entry.name = char;
    // Also for a =: an empty name is invalid, and the following characters must not open quotes.
    return "name";
  },
  comment: (char) => (isLineEnd(char) ? "line_start" : "comment"),
  name(char, entry) {
    if (isLineEnd(char)) return "line_start";
    if (char === "=") return "value_start";
    entry.name += char;
    return "name";
  },
  value_start(char, entry) {
    if (isLineEnd(char)) return "line_start";
    if (char === "'") return "single_quoted";
    if (char === '"') return "double_quoted";
    if (char === "\\") return "value_escape";
    if (isBlank(char)) return "value_start";
    entry.value += char;
    return "value";
  },
  value(char, entry) {
    if (isLineEnd(char)) return "line_start";
    if (char === "\\") {
      // Blanks before the backslash are part of the value.
      entry.keep = entry.value.length;
      return "value_escape";
    }
    entry.value += char;
    return "value";
  },
  value_escape(char, entry) {
    if (!isLineEnd(char)) keepChar(entry, char);
    return "value";
  },
  single_quoted(char, entry) {
    if (char === "'") return "value_start";
    keepChar(entry, char);
    return "single_quoted";
  },
  double_quoted(char, entry) {
    if (char === '"') return "value_start";
    if (char === "\\") return "double_quoted_escape";
    keepChar(entry, char);
    return "double_quoted";
  },
  double_quoted_escape(char, entry) {
    if (char !== "\n") keepChar(entry, escapedInQuotes.test(char) ? char : `\\${char}`);
    return "double_quoted";
  },
};
