/**
 * One place of a word: any text, any character, this character (its code), or a character for which the function is
 * true.
 */
type Token = "any" | "one" | number | ((code: number) => boolean);

/** One part of a path as a shell's pattern: `*`, `?` and `[…]`. */
export interface GlobWord {
  readonly text: string;
  readonly tokens: readonly Token[];
  /** The least number of characters of a matching text. */
  readonly shortest: number;
}

/** One part of a path. */
export interface PathPart {
  readonly text: string;
  readonly codes: readonly number[];
}

/** Parses a part of a path. */
export function parsePathPart(text: string): PathPart {
  return { text, codes: codesOf(text) };
}

/** Parses a pattern. Every text is a pattern: a bracket without its end stands for itself. */
export function parseGlobWord(text: string): GlobWord {
  const codes = codesOf(text);
  const lastClose = codes.lastIndexOf(close ?? 0);
  const tokens: Token[] = [];
  for (let at = 0; at < codes.length; ) {
    const code = codes[at] ?? 0;
    const end = code === bracket && at < lastClose ? endOfSet(codes, at) : -1;
    if (code === star) tokens.push("any");
    else if (code === questionMark) tokens.push("one");
    else tokens.push(end > 0 ? parseSet(codes.slice(at + 1, end)) : code);
    at = end > 0 ? end + 1 : at + 1;
  }
  return { text, tokens, shortest: tokens.filter((token) => token !== "any").length };
}

/**
 * True when a pattern matches a part of a path. In a shell, a pattern that matches no file stands for itself, so a
 * pattern always matches its own text. Costs at most the product of the two lengths.
 */
export function matchesWord({ text, codes }: PathPart, word: GlobWord): boolean {
  if (text === word.text) return true;
  if (codes.length < word.shortest || (text.startsWith(".") && !word.text.startsWith("."))) return false;
  return matchesTokens(codes, word.tokens);
}

/** Goes back to the last `*` only: the matches of earlier ones can stay unchanged. */
function matchesTokens(codes: readonly number[], tokens: readonly Token[]): boolean {
  let [at, next] = [0, 0];
  let [starAt, starNext] = [0, -1];
  while (at < codes.length) {
    const token = tokens[next];
    if (token === "any") {
      starAt = at;
      starNext = next;
      next += 1;
    } else if (token !== undefined && matchesToken(codes[at] ?? 0, token)) {
      at += 1;
      next += 1;
    } else {
      if (starNext < 0) return false;
      starAt += 1;
      at = starAt;
      next = starNext + 1;
    }
  }
  return tokens.slice(next).every((token) => token === "any");
}

function matchesToken(code: number, token: Token): boolean {
  if (typeof token === "number") return token === code;
  return token === "one" || (typeof token === "function" && token(code));
}

const [star, questionMark, bracket, close, colon, dash] = [..."*?[]:-"].map((each) => each.charCodeAt(0));
const negations = [..."!^"].map((each) => each.charCodeAt(0));

/** Index of the `]` of the set that begins at `start`; -1 without one. */
function endOfSet(codes: readonly number[], start: number): number {
  let at = start + (negations.includes(codes[start + 1] ?? 0) ? 2 : 1);
  // A "]" at the beginning is a member of the set.
  if (codes[at] === close) at += 1;
  while (at < codes.length && codes[at] !== close) {
    const end = endOfClass(codes, at);
    at = end > 0 ? end + 1 : at + 1;
  }
  return at < codes.length ? at : -1;
}

/** Slightly more than the longest name of a class of characters. */
const classNameChars = 10;

/** Index of the end of the `[:name:]` that begins at `start`; -1 when there is no class. */
function endOfClass(codes: readonly number[], start: number): number {
  if (codes[start] !== bracket || codes[start + 1] !== colon) return -1;
  const length = codes.slice(start + 2, start + 2 + classNameChars).indexOf(colon ?? 0);
  const end = start + 3 + length;
  return length > 0 && codes[end] === close ? end : -1;
}

/** The classes of characters that POSIX defines. */
const classes: Readonly<Record<string, RegExp>> = {
  alnum: /^[\p{L}\p{N}]$/u,
  alpha: /^\p{L}$/u,
  blank: /^[ \t]$/,
  cntrl: /^\p{Cc}$/u,
  digit: /^\d$/,
  graph: /^[^\p{C}\p{Z}]$/u,
  lower: /^\p{Ll}$/u,
  print: /^[^\p{C}]$/u,
  punct: /^[\p{P}\p{S}]$/u,
  space: /^\s$/,
  upper: /^\p{Lu}$/u,
  xdigit: /^[\da-f]$/i,
};

function parseSet(codes: readonly number[]): (code: number) => boolean {
  const isNegated = negations.includes(codes[0] ?? 0);
  const members: ((code: number) => boolean)[] = [];
  for (let at = isNegated ? 1 : 0; at < codes.length; ) {
    const end = endOfClass(codes, at);
    const low = codes[at] ?? 0;
    const high = codes[at + 1] === dash ? codes[at + 2] : undefined;
    members.push(end > 0 ? memberOfClass(codes.slice(at + 2, end - 1)) : memberOfRange(low, high ?? low));
    at = end > 0 ? end + 1 : at + (high === undefined ? 1 : 3);
  }
  return (code) => members.some((isMember) => isMember(code)) !== isNegated;
}

function memberOfClass(name: readonly number[]): (code: number) => boolean {
  const pattern = classes[String.fromCodePoint(...name)];
  return (code) => pattern?.test(String.fromCodePoint(code)) ?? false;
}

function memberOfRange(low: number, high: number): (code: number) => boolean {
  return (code) => low <= code && code <= high;
}

function codesOf(text: string): number[] {
  return Array.from(text, (character) => character.codePointAt(0) ?? 0);
}
