import { parseYaml, type YamlSource } from "../config/yaml-source.ts";
import { didYouMean } from "../core/closest-name.ts";
import { SolsticeError } from "../core/errors.ts";
import {
  type JobRequest,
  jobRequestSchema,
  placeText,
  safeParseRequest,
  unknownRequestKeys,
  unknownRequestPlaces,
} from "../core/job-request.ts";
import type { CliContext } from "./context.ts";
import { readBounded } from "./read-bounded.ts";

/** What a job file may be long: the largest valid request, with room for comments. */
const fileBytesMax = 4 * 1024 * 1024;

/** A message names at most this many problems. */
const problemsShown = 50;

/** A job request as a person writes it: YAML or JSON, with the keys of `jobrequest.v1`. */
export interface JobFile {
  /** What it says, not yet judged. */
  readonly document: Readonly<Record<string, unknown>>;
  /**
   * The request that the file and the flags make together. A key that is not known is a mistake here. Throws one `usage`
   * error that holds every problem, one a line, each with its line and column where it is of the file.
   */
  parse(merged: object): JobRequest;
}

/** Reads a job file; `-` is standard input. Throws `usage` when it cannot be read or is no map of keys. */
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
  return { document, parse: (merged) => parse(merged, { source, document, shownName }) };
}

interface FileParts {
  readonly source: YamlSource;
  readonly document: Readonly<Record<string, unknown>>;
  readonly shownName: string;
}

function parse(merged: object, file: FileParts): JobRequest {
  const parsed = safeParseRequest(merged);
  const unknown = parsed.success
    ? unknownRequestPlaces(merged, parsed.data)
    : unknownRequestKeys(file.document).map((key) => [key]);
  const problems = [
    ...unknown.map((path) => ({ path, message: unknownKey(path) })),
    ...(parsed.success ? [] : parsed.error.issues),
  ].map(({ path, message }) => problemText(path, message, file));
  if (parsed.success && problems.length === 0) return parsed.data;
  throw wrongFile(problems);
}

function unknownKey(path: readonly (string | number)[]): string {
  const key = String(path.at(-1));
  const known = path.length === 1 ? Object.keys(jobRequestSchema.shape) : [];
  return `no such key${didYouMean(key, known)}; docs/jobs.md has all`;
}

function problemText(path: readonly PropertyKey[], message: string, file: FileParts): string {
  const what = `${placeText(path)}: ${message}`;
  if (path.length > 0 && !Object.hasOwn(file.document, String(path[0]))) return what;
  const offset = file.source.offsetOf({ path, at: "value" });
  return placed(file.source, { shownName: file.shownName, offset, message: what });
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
