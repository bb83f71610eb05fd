import { withoutTrailing } from "../text/text-ends.ts";
import { writtenForms } from "./written-forms.ts";

/** Limits of possible secrets, and of the texts that are masked for them. */
export const fragmentLimits = {
  /** Shorter values occur by chance, and would be masked all over a log. */
  valueBytesMin: 6,
  valueDifferentCharsMin: 3,
  /**
   * A line of a longer value, trimmed, is masked only if it is long and not mostly punctuation, so that `{` or `});`
   * stay readable.
   */
  lineBytesMin: 8,
  lineWordCharsMin: 6,
  jsonDepth: 8,
  jsonTexts: 200,
  /** The search for rarer notations skips longer texts and their lines. */
  writtenChars: 1024,
  /** Bytes of all rarer notations of the secrets of one job. */
  moreBytes: 1024 * 1024,
} as const;

/** Line widths of `base64` and `openssl base64`. */
const base64Widths = [76, 64];

/** The first and last line of a key or certificate; the same in all of them. */
const armor = /^-----(BEGIN|END) [A-Z0-9 ]+-----$/;

/** A key of a JSON document whose text is likely to be a secret of its own. */
const secretKeyName = /key|secret|token|password|passphrase|credential/i;

/** The reason why masking a value would mask half of a log, in words to follow "needs"; null for a maskable value. */
export function maskableProblem(value: string): string | null {
  const { valueBytesMin: bytes, valueDifferentCharsMin: different } = fragmentLimits;
  const text = withoutLineEnd(value);
  if (Buffer.byteLength(text) >= bytes && new Set(text).size >= different) return null;
  return `at least ${bytes} characters, ${different} of them different: a shorter value occurs by chance and would be masked all over a log`;
}

/**
 * The texts to search for in a log because of one secret: the value, its longer lines, the longer texts inside a JSON
 * document, and the value in the usual encodings and notations.
 */
export function fragmentsOf(value: string): Buffer[] {
  const { least, more } = formsByNeed(value);
  return toBytes(new Set([...least, ...more]));
}

/**
 * {@link fragmentsOf} without the rarer notations: the search always includes these, however many secrets there are.
 */
export function leastFragmentsOf(value: string): Buffer[] {
  return toBytes(formsByNeed(value).least);
}

/**
 * The texts to search for because of all values; beyond a limit, the rarer notations of the later values are left out.
 */
export function fragmentsOfAll(values: readonly string[]): Buffer[] {
  const found = values.flatMap(leastFragmentsOf);
  let left: number = fragmentLimits.moreBytes;
  for (const value of values) {
    if (left < 0) break;
    const more = toBytes(formsByNeed(value).more);
    left -= more.reduce((sum, { length }) => sum + length, 0);
    if (left >= 0) found.push(...more);
  }
  return found;
}

function formsByNeed(value: string): { readonly least: Set<string>; readonly more: Set<string> } {
  const least = new Set<string>();
  const more = new Set<string>();
  const text = withoutLineEnd(value);
  let left: number = fragmentLimits.moreBytes;
  for (const whole of [text, ...textsOfJson(text)]) {
    for (const form of [...linesOf(whole), ...formsOf(whole), ...base64Forms(whole)]) least.add(form);
    // Of a longer text, such as a key, each line is a separate text to search for.
    for (const part of [whole, ...linesOf(whole)]) {
      if (part.length > fragmentLimits.writtenChars || left < 0) continue;
      for (const form of writtenForms(part)) {
        more.add(form);
        left -= form.length;
      }
    }
  }
  return { least, more };
}

function toBytes(forms: ReadonlySet<string>): Buffer[] {
  return [...forms]
    .map((form) => Buffer.from(form))
    .filter((form) => form.length >= fragmentLimits.valueBytesMin);
}

function withoutLineEnd(value: string): string {
  return withoutTrailing(value, "\r\n");
}

function linesOf(text: string): string[] {
  const lines = text.split(/\r\n|\n|\r/).map((line) => line.trim());
  return lines.length > 1 ? lines.filter(isSecretLine) : [];
}

function isSecretLine(line: string): boolean {
  const words = line.match(/[\p{L}\p{N}]/gu)?.length ?? 0;
  const { lineBytesMin, lineWordCharsMin } = fragmentLimits;
  return Buffer.byteLength(line) >= lineBytesMin && words >= lineWordCharsMin && !armor.test(line);
}

/**
 * The common forms of a text: unchanged, with other line ends, escaped for JSON, for URLs, and as in the output of `set
 * -x`.
 */
function formsOf(text: string): string[] {
  const unix = text.replaceAll("\r\n", "\n");
  const url = encodeURIComponent(text.toWellFormed());
  return [
    text,
    text.trim(),
    unix,
    unix.replaceAll("\n", "\r\n"),
    JSON.stringify(text).slice(1, -1),
    JSON.stringify(text).slice(1, -1).replaceAll("/", "\\/"),
    url,
    url.replaceAll("%2F", "/"),
    new URLSearchParams([["", text]]).toString().slice(1),
    text.replaceAll("'", `'\\''`),
    text.replaceAll("'", `'"'"'`),
  ];
}

/**
 * Base64 turns three bytes into four characters, so the bytes before a value shift it: each value has three forms. Only
 * characters that depend on the value alone are searched for. A long text is broken into lines.
 */
function base64Forms(text: string): string[] {
  const bytes = Buffer.from(text);
  const forms = [0, 1, 2].map((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
    return encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
  });
  const broken = base64Widths.flatMap((width) => cut(forms[0] ?? "", width).filter(isSecretLine));
  const all = [...forms, ...broken];
  return [...all, ...all.map((form) => form.replaceAll("+", "-").replaceAll("/", "_"))];
}

function cut(text: string, width: number): string[] {
  return Array.from({ length: Math.ceil(text.length / width) }, (_, at) =>
    text.slice(at * width, (at + 1) * width),
  );
}

/**
 * The texts inside a JSON document that are secrets of their own: keys of several lines, and values with a name such as
 * `token`.
 */
function textsOfJson(text: string): string[] {
  if (!/^\s*[{[]/.test(text)) return [];
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return [];
  }
  const found: string[] = [];
  collect(document, { key: "", depth: 0, found });
  return found;
}

function collect(node: unknown, place: { key: string; depth: number; found: string[] }): void {
  const { key, depth, found } = place;
  if (depth > fragmentLimits.jsonDepth || found.length >= fragmentLimits.jsonTexts) return;
  if (typeof node === "string") {
    const isSecret = node.trim().includes("\n") || (secretKeyName.test(key) && !/^https?:\/\//.test(node));
    if (isSecret && isSecretLine(node)) found.push(withoutLineEnd(node));
  } else if (typeof node === "object" && node !== null) {
    for (const [name, inner] of Object.entries(node)) {
      collect(inner, { key: Array.isArray(node) ? key : name, depth: depth + 1, found });
    }
  }
}
