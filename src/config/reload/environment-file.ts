import { open } from "node:fs/promises";
import { fileProblem } from "../../core/text/file-problem.ts";
import { readUtf8 } from "../../core/text/utf8-text.ts";
import type { EnvironmentFilePlace } from "../orchestrator-config.ts";
import { parseEnvironment } from "./parse-environment.ts";

/** The largest file of variables, in bytes. */
const fileBytesMax = 256 * 1024;

const problemsShownMax = 50;

/** The content of the file. No problem repeats a value. */
export interface EnvironmentFile {
  readonly variables: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
}

/** Reads a file of variables. Never throws. */
export async function readEnvironmentFile(place: EnvironmentFilePlace): Promise<EnvironmentFile> {
  const { path } = place;
  const failed = (problem: string) => ({ variables: new Map<string, string>(), problems: [problem] });
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(fileBytesMax + 1) });
    if (bytesRead > fileBytesMax) return failed(`${path} has more than ${fileBytesMax} bytes.`);
    const read = readUtf8(buffer.subarray(0, bytesRead));
    if ("wrongLine" in read) return failed(`${path}:${read.wrongLine}: not UTF-8 text; needs UTF-8.`);
    const { variables, problems } = parseEnvironment(read.text);
    const lines = problems.map(({ line, problem }) => `${path}:${line}: ${problem}.`);
    return { variables, problems: lines.slice(0, problemsShownMax) };
  } catch (error) {
    const isAbsent = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (isAbsent && place.isOptional) return { variables: new Map(), problems: [] };
    return failed(
      `--environment-file: cannot read ${path}: ${fileProblem(error)}; needs a file of NAME=value lines.`,
    );
  }
}
