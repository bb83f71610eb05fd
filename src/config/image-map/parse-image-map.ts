import { SolsticeError } from "../../core/errors.ts";
import type { ImageMap, NamedSize } from "../../core/image-map/image-map.ts";
import type { SourceProblem } from "../yaml/yaml-data.ts";
import { parseYaml, type YamlSource } from "../yaml/yaml-source.ts";
import { createImageDefinition, type MapPlaces } from "./image-definition.ts";
import { findReferenceProblems } from "./image-map-references.ts";
import { type ImageMapFile, imageMapLimits } from "./image-map-schema.ts";
import { readShape } from "./image-map-shape.ts";

/** Most problems in one message. */
const problemsShownMax = 50;

/**
 * Parses an image map. Throws one `config_invalid` error with all problems, one on each line, in the order of the file:
 * `file:line:column: problem; valid form`.
 */
export function parseImageMap(text: string, places: MapPlaces): ImageMap {
  const { map, problems } = readImageMap(text, places);
  if (map) return map;
  throw new SolsticeError("config_invalid", problems.join("\n"));
}

/** Like {@link parseImageMap}, for a caller that collects problems: `map` is null if there are any. */
export function readImageMap(
  text: string,
  places: MapPlaces,
): { readonly map: ImageMap | null; readonly problems: readonly string[] } {
  if (Buffer.byteLength(text) > imageMapLimits.fileBytes) {
    const limit = `${imageMapLimits.fileBytes} bytes`;
    return { map: null, problems: [`${places.fileName}:1:1: the file is too long; needs at most ${limit}`] };
  }
  const source = parseYaml(text);
  const { file, problems } = checkImageMap(source);
  if (file && problems.length === 0) return { map: createImageMap(file, places), problems: [] };
  return { map: null, problems: problemLines(problems, source, places.fileName) };
}

/** Checks syntax, shape and references. A text that is no YAML has only problems of syntax; a repeated key does not hide other problems. */
function checkImageMap(source: YamlSource): { file: ImageMapFile | null; problems: SourceProblem[] } {
  const problems = [...source.problems];
  if (source.data === undefined) return { file: null, problems };
  const shape = readShape(source.data);
  for (const { message, ...place } of [...shape.problems, ...findReferenceProblems(source.data)]) {
    problems.push({ offset: source.offsetOf(place), message });
  }
  return { file: shape.file, problems };
}

function problemLines(problems: SourceProblem[], source: YamlSource, fileName: string): string[] {
  const ordered = problems.toSorted((one, other) => one.offset - other.offset);
  const lines = ordered.map(({ offset, message }) => `${fileName}:${source.position(offset)}: ${message}`);
  const unique = [...new Set(lines)];
  if (unique.length <= problemsShownMax) return unique;
  return [...unique.slice(0, problemsShownMax), `${fileName}: and ${unique.length - problemsShownMax} more`];
}

function createImageMap(file: ImageMapFile, places: MapPlaces): ImageMap {
  const images = Object.entries(file.images);
  return Object.freeze({
    defaultLabel: file.default_label,
    aliases: new Map(Object.entries(file.aliases ?? {})),
    sizes: new Map(Object.entries(file.sizes ?? {}).map(([name, size]) => [name, createSize(size)])),
    images: new Map(images.map(([name, entry]) => [name, createImageDefinition(name, entry, places)])),
  });
}

function createSize(size: NonNullable<ImageMapFile["sizes"]>[string]): NamedSize {
  return Object.freeze({ cpu: size.cpu, ramMb: size.ram_mb, diskGb: size.disk_gb ?? null });
}
