import { type Document, isAlias, isMap, isScalar, isSeq, type ParsedNode } from "yaml";

/**
 * Most values of a file, where each alias counts as all values of its anchor. More than ten times the number in the largest
 * valid file, and far less than the number that a few lines of nested aliases can make.
 */
export const yamlValuesMax = 200_000;

/** A problem at an offset of the text. */
export interface SourceProblem {
  readonly offset: number;
  readonly message: string;
}

/** The problem of a key that occurs twice in a map. */
export const repeatedKey = "this key occurs twice; keep one of the two";

/** Plain data, and the problems. `data` is usable only if all problems are repeated keys. */
export interface YamlData {
  readonly data: unknown;
  readonly problems: readonly SourceProblem[];
}

interface Value {
  readonly data: unknown;
  /** Number of values inside, including those of aliases. */
  readonly count: number;
}

/** The placeholder for an invalid value. */
const nothing: Value = { data: undefined, count: 1 };

/**
 * Converts a document to plain data, in time linear in its text: the value of an anchor is converted once and shared. (The
 * library's own conversion searches the document for each alias, and compares each key of a map with all others.) The document
 * must not be nested deeply. The last of repeated keys counts. With `secret`, no problem repeats a part of the text.
 */
export function toYamlData(document: Document.Parsed, options: { readonly secret: boolean }): YamlData {
  const reader = new Reader(options.secret);
  const { data, count } = reader.read(document.contents);
  if (count > yamlValuesMax) {
    const message = `YAML anchors are repeated so often that there are more than ${yamlValuesMax} values; write the values out`;
    reader.problems.push({ offset: reader.firstAlias ?? 0, message });
  }
  return { data, problems: reader.problems };
}

class Reader {
  readonly problems: SourceProblem[] = [];
  firstAlias: number | null = null;
  readonly #isSecret: boolean;
  /** The value of each anchor so far; undefined while its value is being read. */
  readonly #anchors = new Map<string, Value | undefined>();

  constructor(isSecret: boolean) {
    this.#isSecret = isSecret;
  }

  read(node: ParsedNode | null | undefined): Value {
    if (node === null || node === undefined) return { data: null, count: 1 };
    if (isAlias(node)) return this.#readAlias(node.source, node.range[0]);
    const { anchor } = node;
    if (anchor !== undefined) this.#anchors.set(anchor, undefined);
    const value = this.#readPlain(node);
    if (anchor !== undefined) this.#anchors.set(anchor, value);
    return value;
  }

  #readPlain(node: ParsedNode): Value {
    if (isMap(node)) return this.#readMap(node);
    if (isSeq(node)) {
      const items = node.items.map((item) => this.read(item as ParsedNode));
      return { data: items.map(({ data }) => data), count: countOf(items) };
    }
    return isScalar(node) ? { data: node.value, count: 1 } : nothing;
  }

  #readMap({ items }: Extract<ParsedNode, { items: readonly { key: unknown }[] }>): Value {
    const seen = new Set<string>();
    const values: Value[] = [];
    const entries = items.map(({ key, value }): [string, unknown] => {
      const name = String(isScalar(key) ? key.value : key);
      const offset = key?.range[0] ?? 0;
      if (seen.has(name)) this.#report(offset, repeatedKey);
      seen.add(name);
      const read = this.read(value);
      values.push(read);
      return [name, read.data];
    });
    return { data: Object.fromEntries(entries), count: countOf(values) };
  }

  #readAlias(name: string, offset: number): Value {
    this.firstAlias ??= offset;
    const value = this.#anchors.get(name);
    if (value !== undefined) return value;
    const which = this.#isSecret ? "an alias" : `the alias *${name}`;
    const why = this.#anchors.has(name) ? "stands for itself" : "has no anchor before it";
    this.#report(offset, `not valid YAML: ${which} ${why}`);
    return nothing;
  }

  #report(offset: number, message: string): void {
    this.problems.push({ offset, message });
  }
}

/** The number of values, bounded, because aliases can multiply it beyond any number. */
function countOf(values: readonly Value[]): number {
  return Math.min(
    yamlValuesMax + 1,
    values.reduce((sum, { count }) => sum + count, 1),
  );
}
