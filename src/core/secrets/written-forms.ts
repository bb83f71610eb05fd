/** Writes one character in a notation. */
type Escape = (character: string) => string;

/** The bytes of a character in UTF-8. */
const bytesOf = (character: string) => [...Buffer.from(character)];
const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");

function percent(literal: RegExp, isUpper: boolean): Escape {
  return (character) => {
    if (literal.test(character)) return character;
    const codes = bytesOf(character).map((byte) => hex(byte, 2));
    return codes.map((code) => `%${isUpper ? code.toUpperCase() : code}`).join("");
  };
}

/** Percent-encoding (RFC 3986): the characters that each of the usual writers leaves unchanged. */
const literals: readonly RegExp[] = [
  // encodeURIComponent, and the same with slashes, as curl's and many others'
  /[A-Za-z0-9\-_.!~*'()]/,
  /[A-Za-z0-9\-_.!~*'()/]/,
  // RFC 3986's unreserved: Python's quote (with and without slashes), jq's @uri, Go's QueryEscape, Perl's uri_escape, PHP's rawurlencode
  /[A-Za-z0-9\-_.~]/,
  /[A-Za-z0-9\-_.~/]/,
  // Forms: URLSearchParams, PHP's urlencode
  /[A-Za-z0-9\-_.*]/,
  /[A-Za-z0-9\-_.]/,
  // Go's PathEscape
  /[A-Za-z0-9\-_.~$&+:=@]/,
  // encodeURI
  /[A-Za-z0-9\-_.!~*'();/?:@&=+$,#]/,
];

function urlForms(text: string): string[] {
  return literals.flatMap((literal) =>
    [true, false].flatMap((isUpper) => {
      const form = mapped(text, percent(literal, isUpper));
      return [form, form.replaceAll("%20", "+")];
    }),
  );
}

const shortJson: Readonly<Record<string, string>> = {
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  '"': '\\"',
  "\\": "\\\\",
};

/** JSON: the characters of `wide` become `\u` and four digits for each UTF-16 unit. */
function json(wide: RegExp, options: { isUpper?: boolean; slash?: boolean; short?: RegExp } = {}): Escape {
  return (character) => {
    const { isUpper = false, slash = false, short = /./s } = options;
    if (slash && character === "/") return "\\/";
    if (Object.hasOwn(shortJson, character) && short.test(character)) return shortJson[character] ?? "";
    if (!wide.test(character) && character >= " ") return character;
    const units = character.split("").map((unit) => hex(unit.charCodeAt(0), 4));
    return units.map((unit) => `\\u${isUpper ? unit.toUpperCase() : unit}`).join("");
  };
}

const jsonEscapes: readonly Escape[] = [
  // JSON.stringify, jq; PHP's slashes
  json(/[\u007f]/),
  json(/(?!)/),
  json(/(?!)/, { slash: true }),
  // Python, jq -a; Perl and PHP with slashes
  json(/[^\0-\x7f]/),
  json(/[^\0-\x7f]/, { isUpper: true }),
  json(/[^\0-\x7f]/, { slash: true }),
  // Go, before and since 1.22, which has short forms for \b and \f
  json(/[<>&\u2028\u2029]/),
  json(/[<>&\u2028\u2029]/, { short: /[^\b\f]/ }),
  json(/[<>&'\u2028\u2029]/),
  json(/[<>&'"\u2028\u2029+]|[^\0-\x7f]/, { isUpper: true, short: /[^"]/ }),
];

/** JSON, and JSON as a text within JSON. */
function jsonForms(text: string): string[] {
  const once = jsonEscapes.map((one) => mapped(text, one));
  const plain = json(/(?!)/);
  return [...once, ...once.map((form) => mapped(form, plain))];
}

const plainMarkup: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
const quoted = { ...plainMarkup, '"': "&quot;" };

/** The characters that the usual writers of XML and HTML escape. */
const markups: readonly Readonly<Record<string, string>>[] = [
  // Only characters beyond ASCII
  {},
  // Texts: Python's saxutils and ElementTree, xmllint
  plainMarkup,
  // Attributes: the same; canonical XML does not escape >
  quoted,
  { "&": "&amp;", "<": "&lt;", '"': "&quot;" },
  // Python's html.escape; Go; lodash and Django; PHP; XML's own name
  { ...quoted, "'": "&#x27;" },
  { ...plainMarkup, '"': "&#34;", "'": "&#39;" },
  { ...quoted, "'": "&#39;" },
  { ...quoted, "'": "&#039;" },
  { ...quoted, "'": "&apos;" },
];

function entities(table: Readonly<Record<string, string>>, wide: Escape): Escape {
  return (character) => table[character] ?? (character > "\u007e" ? wide(character) : character);
}

const decimal: Escape = (character) => `&#${character.codePointAt(0)};`;
const hexadecimal =
  (isUpper: boolean): Escape =>
  (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return `&#x${isUpper ? code.toUpperCase() : code};`;
  };

function markupForms(text: string): string[] {
  // Notations of characters beyond ASCII.
  const wides: Escape[] = [(one) => one, decimal, hexadecimal(true), hexadecimal(false)];
  return markups.flatMap((table) => wides.map((wide) => mapped(text, entities(table, wide))));
}

const shortC: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\v": "\\v",
  "\f": "\\f",
  "\r": "\\r",
  "\x1b": "\\E",
  "\\": "\\\\",
  "'": "\\'",
};

const octal: Escape = (character) =>
  bytesOf(character)
    .map((byte) => `\\${byte.toString(8).padStart(3, "0")}`)
    .join("");

/** `$'…'` of bash and ksh: characters beyond ASCII unchanged, or byte by byte in a locale that does not have them. */
function dollarQuote(wide: Escape): Escape {
  return (character) => {
    if (Object.hasOwn(shortC, character)) return shortC[character] ?? "";
    if (character < " " || character === "\x7f") return octal(character);
    return character > "\x7f" ? wide(character) : character;
  };
}

/** `printf %q` of bash puts a backslash before characters that are special for a shell. */
const backslash: Escape = (character) =>
  /[A-Za-z0-9%+\-./:=@_\u0080-\u{10ffff}]/u.test(character) ? character : `\\${character}`;

function shellForms(text: string): string[] {
  // These are special only at the beginning of a word.
  const first = /^[#~]/.test(text);
  const words = [backslash, (one: string) => (/[#~]/.test(one) ? one : backslash(one))].map((one) =>
    mapped(text, one),
  );
  return [
    ...words,
    ...(first ? [`\\${mapped(text, (one) => (/[#~]/.test(one) ? one : backslash(one)))}`] : []),
    // set -x of bash; Python's shlex.quote; dash and busybox
    text.replaceAll("'", `'\\''`),
    text.replaceAll("'", `'"'"'`),
    doubleQuotedRuns(text),
    // export -p and declare -p of bash
    mapped(text, (one) => (/[$`"\\]/.test(one) ? `\\${one}` : one)),
    mapped(text, (one) => (/[$`"\\!]/.test(one) ? `\\${one}` : one)),
    mapped(
      text,
      dollarQuote((one) => one),
    ),
    mapped(text, dollarQuote(octal)),
  ];
}

/**
 * Some shells put a row of single quotes in one pair of double quotes, and write no empty single quotes at either end.
 */
function doubleQuotedRuns(text: string): string {
  const written = text.replaceAll(/'+/g, (run) => `'"${run}"'`);
  return written.slice(text.startsWith("'") ? 1 : 0, text.endsWith("'") ? -1 : undefined);
}

/**
 * The forms of a text by the common writers of each notation; docs/reference/secrets.md lists the writers, and tests
 * compare with these programs. Each form takes time linear in the text, and the number of forms does not depend on the
 * text.
 */
export function writtenForms(text: string): string[] {
  const wellFormed = text.toWellFormed();
  return [
    ...new Set([
      ...urlForms(wellFormed),
      ...jsonForms(wellFormed),
      ...markupForms(wellFormed),
      ...shellForms(text),
    ]),
  ];
}

function mapped(text: string, write: Escape): string {
  return Array.from(text, write).join("");
}
