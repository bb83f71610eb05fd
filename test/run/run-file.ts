import { run } from "node:test";
import { createCollector, type FileResult, type TestEvent } from "./file-result.ts";

/** The settings of one file's run. */
export interface RunFileOptions {
  readonly environment: NodeJS.ProcessEnv;
  readonly timeoutSeconds: number;
  readonly only: string | null;
  readonly signal: AbortSignal;
}

/** Receives events of files. */
export interface FileObserver {
  begin(path: string): void;
  end(result: FileResult): void;
}

/** Extra time for the clean-up of a file after its time limit. */
const graceSeconds = 30;

/** Runs one test file in a separate process. */
export async function runFile(
  path: string,
  observer: FileObserver,
  options: RunFileOptions,
): Promise<FileResult> {
  const begun = performance.now();
  observer.begin(path);
  const collector = createCollector(0);
  for await (const event of eventsOf(path, options)) collector.add(event);
  const result = { path, ms: performance.now() - begun, ...collector.result(options.only === null) };
  observer.end(result);
  return result;
}

/** The events of a process while it runs a file. */
export function eventsOf(path: string, options: RunFileOptions): AsyncIterable<TestEvent> {
  return run({
    files: [path],
    concurrency: 1,
    env: options.environment,
    execArgv: ["--disable-warning=ExperimentalWarning", `--test-timeout=${options.timeoutSeconds * 1000}`],
    // Also ends a file whose tests have ended, but whose process has not.
    signal: AbortSignal.any([
      options.signal,
      AbortSignal.timeout((options.timeoutSeconds + graceSeconds) * 1000),
    ]),
    ...(options.only === null ? {} : { testNamePatterns: [options.only] }),
  });
}
