import { availableParallelism } from "node:os";
import pLimit from "p-limit";
import { startServers } from "../support/servers.ts";
import { type Progress, startProgress } from "./progress.ts";
import { type FileResult, type RunFileOptions, runFile } from "./run-file.ts";
import type { TestFile } from "./select-files.ts";

/** With fewer files that start programs, each starts the servers that it needs itself. */
const filesWorthServers = 5;

/** How {@link runFiles} runs them. */
export interface RunFilesOptions extends RunFileOptions {
  /** How many files that start programs run side by side. */
  readonly jobs: number;
}

/**
 * Runs unit tests, one file for each processor, then the files that start programs; those mostly wait, and so more of them run
 * side by side. The servers that they share start meanwhile. After an interruption no further file begins.
 */
export async function runFiles(
  files: readonly TestFile[],
  options: RunFilesOptions,
): Promise<readonly FileResult[]> {
  const [units, systems] = [
    files.filter(({ isSystem }) => !isSystem),
    files.filter(({ isSystem }) => isSystem),
  ];
  const starting = systems.length < filesWorthServers ? null : startServers();
  // A failed start is reported where it is awaited.
  starting?.catch(() => {});
  const progress = startProgress(files.length);
  try {
    const ofUnits = await runSideBySide(units, progress, { ...options, jobs: availableParallelism() });
    const servers = await starting;
    const environment = { ...options.environment, ...servers?.environment };
    const ofSystems = await runSideBySide(systems, progress, { ...options, environment });
    return [...ofUnits, ...ofSystems];
  } finally {
    progress.close();
    // Also where the unit tests ended early, and the servers are still starting.
    await starting?.then(
      (servers) => servers.stop(),
      () => {},
    );
  }
}

async function runSideBySide(
  files: readonly TestFile[],
  progress: Progress,
  options: RunFilesOptions,
): Promise<FileResult[]> {
  const results = await pLimit(options.jobs).map(files, async ({ path }) => {
    if (options.signal.aborted) return null;
    progress.begin(path);
    const result = await runFile(path, options);
    progress.end(result);
    return result;
  });
  return results.filter((result) => result !== null);
}
