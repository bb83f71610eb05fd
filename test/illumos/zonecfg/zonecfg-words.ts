/** One piece of a zonecfg command line. */
export interface Word {
  readonly text: string;
  /** True for a mark of the language (`=`, `(`, `)`, `[`, `]`, `,`), which is not a value. */
  readonly isMark: boolean;
  /** True for a word in double quotes. */
  readonly isQuoted: boolean;
}

/** Names of resources and properties, which zonecfg_lex.l distinguishes from values. */
export const keywords: ReadonlySet<string> = new Set(
  (
    "net fs device rctl attr zonename dataset dedicated-cpu capped-cpu capped-memory admin security-flags zonepath brand " +
    "autoboot pool limitpriv bootargs type value options address allowed-address physical dir special raw name match priv " +
    "limit action ncpus locked swap importance cpu-shares max-lwps max-processes max-shm-memory max-shm-ids max-msg-ids " +
    "max-sem-ids scheduling-class ip-type defrouter hostid user auths fs-allowed default lower upper property mac-addr " +
    "vlan-id global-nic"
  ).split(" "),
);

/** The kind of a piece of text: the name of the group that matched. */
const piece =
  /(?<end>[;\n])|(?<blank>[ \t]+)|"(?<quoted>[^"\n]*)"?|(?<mark>[=[\]()])|(?<comma>,)|(?<word>[^ \t\n",;=[\]()]+)/y;
/** Outside of lists and complex values a comma is part of a word. */
const wordWithCommas = /[^ \t\n";=[\]()]+/y;

/**
 * Splits commands as zonecfg_lex.l does: `;` and a newline end a command, `#` at its start makes it a comment, double
 * quotes (at the start of a word, with nothing to escape them inside) hold a value with blanks, `;`, `=` or brackets.
 */
export function splitCommands(text: string): Word[][] {
  const commands: Word[][] = [[]];
  let depth = 0;
  for (let at = 0; at < text.length; ) {
    const words = commands.at(-1) ?? [];
    if (text[at] === "#" && words.length === 0) {
      at = endOfLine(text, at);
      continue;
    }
    const { length, kind, value, isQuoted } = nextPiece(text, at, depth);
    at += length;
    if (kind === "end") {
      commands.push([]);
      depth = 0;
    } else if (kind !== "blank") {
      if (kind === "mark") depth += bracket(value);
      words.push({ text: value, isMark: kind === "mark", isQuoted });
    }
  }
  return commands.filter((words) => words.length > 0);
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end < 0 ? text.length : end;
}

function bracket(mark: string): number {
  if (mark === "[" || mark === "(") return 1;
  return mark === "]" || mark === ")" ? -1 : 0;
}

interface Piece {
  readonly length: number;
  readonly kind: "end" | "blank" | "mark" | "word";
  readonly value: string;
  readonly isQuoted: boolean;
}

function nextPiece(text: string, at: number, depth: number): Piece {
  if (depth === 0) {
    wordWithCommas.lastIndex = at;
    const word = wordWithCommas.exec(text)?.[0];
    if (word !== undefined) return { length: word.length, kind: "word", value: word, isQuoted: false };
  }
  piece.lastIndex = at;
  const match = piece.exec(text);
  const { end, blank, quoted, mark, comma, word } = match?.groups ?? {};
  const length = match?.[0].length ?? 1;
  if (end !== undefined) return { length, kind: "end", value: end, isQuoted: false };
  if (blank !== undefined) return { length, kind: "blank", value: blank, isQuoted: false };
  if (mark !== undefined || comma !== undefined)
    return { length, kind: "mark", value: mark ?? comma ?? "", isQuoted: false };
  return { length, kind: "word", value: quoted ?? word ?? "", isQuoted: quoted !== undefined };
}
