import { parseYaml, type YamlSource } from "../../config/yaml/yaml-source.ts";
import { SolsticeError } from "../../core/errors.ts";
import {
  type JobRequest,
  placeText,
  safeParseRequest,
  type UnknownPlace,
  unknownRequestPlaces,
} from "../../core/request/job-request.ts";
import { didYouMean } from "../../core/text/closest-name.ts";
import type { CliContext } from "../context.ts";
import { readBounded } from "./read-bounded.ts";

/** Longest job file: the largest valid request, with room for comments. */
const fileBytesMax = 4 * 1024 * 1024;

/** Most problems in one message. */
const problemsShown = 50;

/** The flag that set a place of the request; undefined if no flag did. */
export type FlagOf = (path: readonly PropertyKey[]) => string | undefined;

/** The name of a place of the request in an error, with its flag if a flag set the place. */
export function placeName(path: readonly PropertyKey[], flagOf: FlagOf): string {
  const flag = flagOf(path);
  if (flag === undefined) return placeText(path);
  return path.length === 1 ? flag : `${flag}: ${placeText(path)}`;
}

/** A job request as a person writes it: YAML or JSON, with the keys of `jobrequest.v1`. */
export interface JobFile {
  /** The content, not yet validated. */
  readonly document: Readonly<Record<string, unknown>>;
  /**
   * Validates the request that file and flags form together; an unknown key is an error. Throws one `usage` error with all
   * problems, one on each line: first the problems of flags, with the flag, then those of the file in its order, with line and
   * column.
   */
  parse(merged: object, flagOf: FlagOf): JobRequest;
}

/** Reads a job file; `-` is standard input. Throws `usage` if the file cannot be read or is no map of keys. */
export async function readJobFile(fileName: string, context: CliContext): Promise<JobFile> {
  const text = await readBounded({ fileName, flag: "--file", limitBytes: fileBytesMax }, context);
  const shownName = fileName === "-" ? "standard input" : fileName;
  if (Buffer.byteLength(text) > fileBytesMax) {
    throw new SolsticeError(
      "usage",
      `${shownName}: the file is too long; needs at most ${fileBytesMax} bytes.`,
    );
  }
  const source = parseYaml(text);
  const problems = source.problems.map(({ offset, message }) =>
    placed(source, { shownName, offset, message }),
  );
  if (problems.length > 0) throw wrongFile(problems);
  if (!isDocument(source.data)) {
    throw wrongFile([`${shownName}:1:1: needs keys such as steps: or script:`]);
  }
  const document = source.data;
  return { document, parse: (merged, flagOf) => parse(merged, { source, document, shownName, flagOf }) };
}

interface FileParts {
  readonly source: YamlSource;
  readonly document: Readonly<Record<string, unknown>>;
  readonly shownName: string;
  readonly flagOf: FlagOf;
}

function parse(merged: object, file: FileParts): JobRequest {
  const parsed = safeParseRequest(merged);
  const problems = [
    ...unknownRequestPlaces(merged).map((place) => ({ path: place.path, message: unknownKey(place) })),
    ...(parsed.success ? [] : parsed.error.issues),
  ];
  if (parsed.success && problems.length === 0) return parsed.data;
  const found = problems.map(({ path, message }) => ({
    offset: offsetIn(file, path),
    message: `${placeName(path, file.flagOf)}: ${message}`,
  }));
  const inOrder = found.toSorted((one, other) => (one.offset ?? -1) - (other.offset ?? -1));
  throw wrongFile(
    inOrder.map(({ offset, message }) =>
      offset === null ? message : placed(file.source, { shownName: file.shownName, offset, message }),
    ),
  );
}

function unknownKey({ path, known }: UnknownPlace): string {
  return `no such key${didYouMean(String(path.at(-1)), known)}; docs/reference/jobs.md has all`;
}

/** The offset of a problem in the file; null for a problem of a flag or of the checkout. */
function offsetIn({ source, document, flagOf }: FileParts, path: readonly PropertyKey[]): number | null {
  if (flagOf(path) !== undefined) return null;
  if (path.length > 0 && !Object.hasOwn(document, String(path[0]))) return null;
  return source.offsetOf({ path, at: "value" });
}

function placed(
  source: YamlSource,
  { shownName, offset, message }: { shownName: string; offset: number; message: string },
): string {
  return `${shownName}:${source.position(offset)}: ${message}`;
}

function wrongFile(problems: readonly string[]): SolsticeError {
  const shown = problems.slice(0, problemsShown);
  if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more problems`);
  return new SolsticeError("usage", `The job request is not valid:\n  ${shown.join("\n  ")}`);
}

function isDocument(data: unknown): data is Record<string, unknown> {
  return typeof data === "object" && data !== null && !Array.isArray(data);
}
