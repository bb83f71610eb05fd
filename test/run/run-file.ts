import { run } from "node:test";
import { createCollector, type FileResult, type TestEvent } from "./file-result.ts";

/** How files are run. */
export interface RunFileOptions {
  readonly environment: NodeJS.ProcessEnv;
  readonly timeoutSeconds: number;
  readonly only: string | null;
  readonly signal: AbortSignal;
}

/** Receives what happens to files. */
export interface FileObserver {
  begin(path: string): void;
  end(result: FileResult): void;
}

/** How long a file may go on after its tests had to end: their clean-up. */
const graceSeconds = 30;

/** Runs one test file in a process of its own. */
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

/** What happens while a process runs a file. */
export function eventsOf(path: string, options: RunFileOptions): AsyncIterable<TestEvent> {
  return run({
    files: [path],
    concurrency: 1,
    env: options.environment,
    execArgv: ["--disable-warning=ExperimentalWarning", `--test-timeout=${options.timeoutSeconds * 1000}`],
    // A file whose tests have ended, but whose process has not, is ended as well.
    signal: AbortSignal.any([
      options.signal,
      AbortSignal.timeout((options.timeoutSeconds + graceSeconds) * 1000),
    ]),
    ...(options.only === null ? {} : { testNamePatterns: [options.only] }),
  });
}
