import { join } from "node:path";
import { createCollector, type FileResult, type TestEvent } from "./file-result.ts";
import { filesVariable } from "./files-variable.ts";
import { eventsOf, type FileObserver, type RunFileOptions, runFile } from "./run-file.ts";

const severalFiles = join(import.meta.dirname, "several-files.ts");

/**
 * Runs test files one after the other in one process. When that process ends early, each file that had not ended runs
 * in a separate process: this finds the file that ended the process, and shows the failures of the others.
 */
export async function runTogether(
  paths: readonly string[],
  observer: FileObserver,
  options: RunFileOptions,
): Promise<readonly FileResult[]> {
  const reader = readFiles(paths, observer);
  const environment = { ...options.environment, [filesVariable]: JSON.stringify(paths) };
  for await (const event of eventsOf(severalFiles, { ...options, environment })) reader.add(event);
  const results = [...reader.ended];
  for (const path of paths.slice(results.length)) {
    if (options.signal.aborted) return results;
    results.push(await runFile(path, observer, options));
  }
  return withFailuresOfProcess(results, reader.left());
}

/** A process that failed although each file passes still counts as failed: its last file gets the failure. */
function withFailuresOfProcess(results: readonly FileResult[], ofProcess: FileResult["failures"]) {
  const isExplained = results.some(({ failures }) => failures.length > 0);
  return results.map((result, place) =>
    place === results.length - 1 && !isExplained ? { ...result, failures: ofProcess } : result,
  );
}

/** Splits the events of a process into the results of its files. */
function readFiles(paths: readonly string[], observer: FileObserver) {
  const ended: FileResult[] = [];
  let collector = createCollector(1);
  const beginNext = () => {
    const path = paths[ended.length];
    if (path !== undefined) observer.begin(path);
  };
  beginNext();
  return {
    ended,
    add({ type, data = {} }: TestEvent): void {
      collector.add({ type, data });
      const path = paths[ended.length];
      if (path === undefined || data.nesting !== 0 || data.name !== path || !isEnd(type)) return;
      const result = { path, ms: data.details?.duration_ms ?? 0, ...collector.result(true) };
      collector = createCollector(1);
      ended.push(result);
      observer.end(result);
      beginNext();
    },
    /** Failures outside of any file that has ended. */
    left: () => collector.result(false).failures,
  };
}

function isEnd(type: string): boolean {
  return type === "test:pass" || type === "test:fail";
}
