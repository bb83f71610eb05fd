import { isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from "yaml";

/** A place in the file: the path of keys (and places in lists) that leads to it, and whether the key or its value is meant. */
export interface Place {
  readonly path: readonly PropertyKey[];
  readonly at?: "key" | "value";
}

/** A problem at an offset of the text. */
export interface SourceProblem {
  readonly offset: number;
  readonly message: string;
}

/** A YAML text as data, with the way back from data to line and column. */
export interface YamlSource {
  /** Plain data; undefined when the syntax is wrong, except that of a repeated key the last one counts. */
  readonly data: unknown;
  readonly problems: readonly SourceProblem[];
  /** The offset of a place, or of the nearest place around it that exists. */
  offsetOf(place: Place): number;
  /** `line:column`, both from 1. */
  position(offset: number): string;
}

/** Anchors may be repeated this often: enough for shared defaults, too few for a text that grows without end. */
const aliasCountMax = 100;

/**
 * Parses YAML 1.2. It never throws: what is wrong is returned, and `data` holds what could be read. Of a `secret` text no
 * part is repeated in a problem.
 */
export function parseYaml(text: string, options: { readonly secret?: boolean } = {}): YamlSource {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const errors = [...document.errors, ...document.warnings];
  const problems: SourceProblem[] = errors.map((error) => ({
    offset: error.pos[0],
    message: yamlMessage(error.code, options.secret ? error.code : error.message),
  }));
  let data: unknown;
  try {
    const isReadable = errors.every((error) => error.code === "DUPLICATE_KEY");
    data = isReadable ? document.toJS({ maxAliasCount: aliasCountMax }) : undefined;
  } catch (error) {
    problems.push({ offset: firstAliasOffset(document.contents), message: aliasMessage(error, options) });
  }
  return {
    data,
    problems,
    offsetOf: (place) => offsetOf(document.contents, place),
    position: (offset) => {
      const { line, col } = lines.linePos(Math.min(offset, text.length));
      return `${Math.max(line, 1)}:${Math.max(col, 1)}`;
    },
  };
}

function yamlMessage(code: string, message: string): string {
  if (code === "DUPLICATE_KEY") return "this key is there already; keep one of the two";
  if (code === "MULTIPLE_DOCS") return "a second YAML document begins here; keep one";
  return `not valid YAML: ${message.replace(/\s+/g, " ").replace(/\.$/, "")}`;
}

function aliasMessage(error: unknown, options: { readonly secret?: boolean }): string {
  const text = error instanceof Error ? error.message : String(error);
  if (!text.startsWith("Excessive alias count")) {
    return options.secret ? "not valid YAML: an anchor" : `not valid YAML: ${text}`;
  }
  return `YAML anchors are repeated more than ${aliasCountMax} times; write the values out`;
}

function firstAliasOffset(contents: unknown): number {
  let offset = 0;
  visit(contents as Node, {
    Alias: (_key, alias) => {
      offset = alias.range?.[0] ?? 0;
      return visit.BREAK;
    },
  });
  return offset;
}

function offsetOf(contents: unknown, place: Place): number {
  let node = contents;
  let offset = startOf(contents) ?? 0;
  for (const [index, key] of place.path.entries()) {
    if (isSeq(node)) {
      const item = node.items[Number(key)];
      if (item === undefined) break;
      offset = startOf(item) ?? offset;
      node = item;
      continue;
    }
    if (!isMap(node)) break;
    // Of a repeated key the last one became data.
    const pair = node.items.findLast((item) => isScalar(item.key) && String(item.key.value) === String(key));
    if (!pair) break;
    const isLast = index === place.path.length - 1;
    const keyOffset = startOf(pair.key) ?? offset;
    const valueOffset = startOf(pair.value);
    offset = isLast && place.at === "value" ? (valueOffset ?? keyOffset) : keyOffset;
    node = pair.value;
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
