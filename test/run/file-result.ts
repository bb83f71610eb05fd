import { inspect } from "node:util";

/** A failed test. */
export interface Failure {
  /** The names of the enclosing suites and of the test. */
  readonly name: readonly string[];
  readonly line: number | null;
  /** The error with its stack and causes. */
  readonly error: string;
}

/** A skipped test. */
export interface Skipped {
  readonly name: string;
  readonly reason: string;
}

/** The outcome of a test file. */
export interface FileResult {
  readonly path: string;
  readonly ms: number;
  readonly passed: number;
  readonly failures: readonly Failure[];
  readonly skipped: readonly Skipped[];
  /** The end of the file's stdout and stderr, and of its diagnostics. */
  readonly output: string;
}

/** Number of characters of a file's output that are kept. */
const outputCharsKept = 8000;
const inspectDepth = 4;

/** An event of Node's test runner. */
export interface TestEvent {
  readonly type: string;
  readonly data?: EventData;
}

/** The fields of an event; they differ with its type. */
export interface EventData {
  readonly name?: string;
  readonly nesting?: number;
  readonly line?: number;
  readonly file?: string;
  readonly message?: string;
  readonly skip?: string | boolean;
  readonly entryFile?: string;
  readonly details?: {
    readonly duration_ms?: number;
    readonly type?: string;
    readonly error?: Error & {
      readonly failureType?: string;
      readonly exitCode?: number | null;
      readonly signal?: NodeJS.Signals | null;
    };
  };
}

/** Reads events and builds the result of a file. */
export interface Collector {
  add(event: TestEvent): void;
  /** The result so far. `mustHaveTests`: a file without a test has failed. */
  result(mustHaveTests: boolean): Omit<FileResult, "path" | "ms">;
}

/**
 * Reads the events of a file's tests. Only leaves count: a suite whose test failed is not a second failure.
 * `outermost` is the nesting depth of the file's tests: 1 when the file itself is a suite.
 */
export function createCollector(outermost: number): Collector {
  const open: string[] = [];
  const failures: Failure[] = [];
  const skipped: Skipped[] = [];
  let passed = 0;
  let output = "";
  const keep = (text = "") => {
    output = (output + text).slice(-outputCharsKept);
  };
  const end = (type: string, data: EventData) => {
    const { name = "", nesting = 0, skip, details } = data;
    // Node makes a test of the file as well, which passes also when the file has no test; the suite of a file does
    // the same.
    if (type === "test:pass" && (data.entryFile === undefined || nesting < outermost)) return;
    const path = [...open.slice(outermost, nesting), ...(nesting < outermost ? ["(file)"] : [name])];
    if (skip !== undefined && skip !== false) skipped.push({ name: path.join(" > "), reason: String(skip) });
    else if (type === "test:pass") passed += details?.type === "suite" ? 0 : 1;
    else if (details?.error?.failureType !== "subtestsFailed")
      failures.push({ name: path, line: data.line ?? null, error: describeError(details?.error) });
  };
  return {
    add({ type, data: event = {} }: TestEvent): void {
      if (type === "test:start") open.splice(event.nesting ?? 0, Number.POSITIVE_INFINITY, event.name ?? "");
      else if (type === "test:pass" || type === "test:fail") end(type, event);
      else if (type === "test:stdout" || type === "test:stderr") keep(event.message);
      else if (type === "test:diagnostic" && event.entryFile !== undefined) keep(`${event.message}\n`);
    },
    result(mustHaveTests: boolean) {
      const isEmpty = passed + failures.length + skipped.length === 0;
      if (isEmpty && mustHaveTests)
        failures.push({ name: ["(file)"], line: null, error: "The file ran no test." });
      return { passed, failures, skipped, output };
    },
  };
}

/** Stack frames of Node itself are not useful. */
const frameOfNode = /^\s+at .*\(?node:(internal|async_hooks)/;

function describeError(error: NonNullable<EventData["details"]>["error"]): string {
  if (error === undefined) return "The test failed without an error.";
  const { exitCode, failureType, signal } = error;
  if (failureType === "testAborted")
    return "The file did not end in time, or the run was interrupted: it was ended.";
  // The error of a whole file: its process ended without a failed test.
  if (exitCode !== undefined) return `The file's process ended with ${signal ?? `exit code ${exitCode}`}.`;
  const text = inspect(error.cause ?? error, { depth: inspectDepth, colors: false });
  return text
    .split("\n")
    .filter((line) => !frameOfNode.test(line))
    .join("\n");
}
