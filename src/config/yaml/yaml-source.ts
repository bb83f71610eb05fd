import {
  Composer,
  type CST,
  type Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  Parser,
  type YAMLMap,
} from "yaml";
import { repeatedKey, type SourceProblem, toYamlData } from "./yaml-data.ts";
import { tooDeepAt, yamlDepthMax } from "./yaml-nesting.ts";

/** A place in the file: its path of keys and list indexes, and the key or the value at the end of the path. */
export interface Place {
  readonly path: readonly PropertyKey[];
  readonly at?: "key" | "value";
}

/** A problem at a place of the file. */
export interface PlacedProblem extends Place {
  readonly message: string;
}

/** A YAML text as data, with the line and column of each place. */
export interface YamlSource {
  /** Plain data; undefined if the syntax is wrong. Of repeated keys, the last one counts. */
  readonly data: unknown;
  readonly problems: readonly SourceProblem[];
  /** The offset of a place, or of the nearest existing parent. */
  offsetOf(place: Place): number;
  /** `line:column`, both from 1. */
  position(offset: number): string;
}

/** Most problems of syntax: a text that is no YAML has one for every few characters. */
const syntaxProblemsMax = 100;

/**
 * Parses YAML 1.2, in time linear in the text. Never throws: problems are returned, and `data` has the readable parts. With
 * `secret`, no problem repeats a part of the text.
 */
export function parseYaml(text: string, options: { readonly secret?: boolean } = {}): YamlSource {
  const lines = new LineCounter();
  const tokens = [...new Parser(lines.addNewLine).parse(text)];
  const position = (offset: number) => {
    const { line, col } = lines.linePos(Math.min(offset, text.length));
    return `${Math.max(line, 1)}:${Math.max(col, 1)}`;
  };
  const deepAt = tooDeepAt(tokens);
  if (deepAt !== null) {
    const message = `lists and maps are nested more than ${yamlDepthMax} deep; needs fewer levels`;
    return { data: undefined, problems: [{ offset: deepAt, message }], offsetOf: () => 0, position };
  }
  const { document, problems } = compose(tokens, text.length, options);
  const places = new PairsByKey();
  const offsetOfPlace = (place: Place) => offsetOf(document?.contents, place, places);
  if (problems.length > 0 || document === null) {
    return { data: undefined, problems, offsetOf: offsetOfPlace, position };
  }
  const read = toYamlData(document, { secret: options.secret ?? false });
  const isReadable = read.problems.every(({ message }) => message === repeatedKey);
  const data = isReadable ? read.data : undefined;
  return { data, problems: read.problems, offsetOf: offsetOfPlace, position };
}

/** The first document of the tokens, and the problems of its syntax. */
function compose(
  tokens: readonly CST.Token[],
  length: number,
  options: { readonly secret?: boolean },
): { document: Document.Parsed | null; problems: SourceProblem[] } {
  // toYamlData() finds repeated keys in linear time; the library's own check does not.
  const composer = new Composer({ prettyErrors: false, stringKeys: true, uniqueKeys: false });
  const [document, second] = [...composer.compose(tokens, true, length)];
  const errors = [...(document?.errors ?? []), ...(document?.warnings ?? [])].slice(0, syntaxProblemsMax);
  const problems = errors.map(({ pos, code, message }) => ({
    offset: pos[0],
    message: yamlMessage(options.secret ? code : message),
  }));
  if (second !== undefined) {
    problems.push({ offset: second.range[0], message: "a second YAML document begins here; keep one" });
  }
  return { document: document ?? null, problems };
}

function yamlMessage(message: string): string {
  return `not valid YAML: ${message.replaceAll(/\s+/g, " ").replace(/\.$/, "")}`;
}

/** The pairs of each map by key, created at the first access to the map. */
class PairsByKey {
  readonly #maps = new WeakMap<YAMLMap, ReadonlyMap<string, Pair>>();

  find(map: YAMLMap, key: PropertyKey): Pair | undefined {
    let pairs = this.#maps.get(map);
    if (pairs === undefined) {
      // The last of repeated keys counts, as in the data.
      pairs = new Map(
        map.items.flatMap((pair) => (isScalar(pair.key) ? [[String(pair.key.value), pair]] : [])),
      );
      this.#maps.set(map, pairs);
    }
    return pairs.get(String(key));
  }
}

function offsetOf(contents: unknown, place: Place, pairs: PairsByKey): number {
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
    const pair = pairs.find(node, key);
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
