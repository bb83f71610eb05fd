import { availableParallelism } from "node:os";
import { join } from "node:path";
import pLimit from "p-limit";
import { type RunServers, startServers } from "../support/servers/servers.ts";
import { bundleProgram } from "./bundle.ts";
import type { FileResult } from "./file-result.ts";
import { type Progress, startProgress } from "./progress.ts";
import { type RunFileOptions, runFile } from "./run-file.ts";
import { runTogether } from "./run-together.ts";
import type { TestFile } from "./select-files.ts";

const root = join(import.meta.dirname, "../..");

/** With fewer files that start programs, each file starts its own servers, and the program runs from its sources. */
const filesWorthServers = 5;

/**
 * Number of unit test files in one process. With more, a failure of the process is less specific; with fewer, Node
 * starts more often.
 */
const filesTogether = 12;

/** The settings of {@link runFiles}. */
export interface RunFilesOptions extends RunFileOptions {
  /** Number of files that start programs and run in parallel. */
  readonly jobs: number;
}

/**
 * Runs unit tests, some files in a process and one process more than there are processors, then the files that start
 * programs; those mostly wait, so more of them run in parallel. Their shared servers start meanwhile. After an
 * interruption no further file begins.
 */
export async function runFiles(
  files: readonly TestFile[],
  options: RunFilesOptions,
): Promise<readonly FileResult[]> {
  const [units, systems] = [
    files.filter(({ isSystem }) => !isSystem),
    files.filter(({ isSystem }) => isSystem),
  ];
  const starting = systems.length < filesWorthServers ? null : prepareSystems();
  // A failed start is reported by the `await` below.
  starting?.catch(() => {});
  const progress = startProgress(files.length);
  try {
    const together = options.only === null ? filesTogether : 1;
    const ofUnits = await runSideBySide(inGroups(units, together), progress, {
      ...options,
      // One more than processors: some tests wait for a moment.
      jobs: availableParallelism() + 1,
    });
    const servers = await starting;
    const environment = { ...options.environment, ...servers?.environment };
    const ofSystems = await runSideBySide(inGroups(systems, 1), progress, { ...options, environment });
    return [...ofUnits, ...ofSystems];
  } finally {
    progress.close();
    // Also when the unit tests ended early and the servers are still starting.
    await starting?.then(
      (servers) => servers.stop(),
      () => {},
    );
  }
}

/** Starts the servers and bundles the program that the files share. */
async function prepareSystems(): Promise<RunServers> {
  const variables = await bundleProgram(root);
  const servers = await startServers();
  return { environment: { ...servers.environment, ...variables }, stop: servers.stop };
}

async function runSideBySide(
  groups: readonly (readonly string[])[],
  progress: Progress,
  options: RunFilesOptions,
): Promise<FileResult[]> {
  const results = await pLimit(options.jobs).map(groups, async (paths) => {
    if (options.signal.aborted) return [];
    const [only] = paths;
    if (only === undefined || paths.length > 1) return runTogether(paths, progress, options);
    return [await runFile(only, progress, options)];
  });
  return results.flat();
}

function inGroups(files: readonly TestFile[], size: number): readonly (readonly string[])[] {
  const count = Math.ceil(files.length / size);
  return Array.from({ length: count }, (_, place) =>
    files.slice(place * size, (place + 1) * size).map(({ path }) => path),
  );
}
