import type { FileResult } from "./file-result.ts";

/** Number of the slowest files that are listed. */
const slowestListed = 10;
const maxErrorLines = 40;
const maxOutputLines = 40;

/** Formats milliseconds for people: `850 ms`, `4.2 s`, `3 min 20 s`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** The line for a file that has ended: its number, outcome and duration; below it a line for each failure. */
export function formatEnd(result: FileResult, ended: number, total: number): string {
  const { path, ms, passed, failures } = result;
  const place = `[${String(ended).padStart(String(total).length)}/${total}]`;
  const how = failures.length > 0 ? "FAILED" : "ok    ";
  const tests = failures.length > 0 ? `${failures.length} failed, ${passed} passed` : `${passed} passed`;
  const failed = failures.map(({ name, error }) => `    ${name.join(" > ")}: ${error.split("\n", 1)[0]}`);
  return [`${place} ${how} ${formatDuration(ms).padStart(10)}  ${path} (${tests})`, ...failed].join("\n");
}

/** The line with the running files, their durations, and the number of files that are left. */
export function formatRunning(state: {
  readonly running: ReadonlyMap<string, number>;
  readonly left: number;
  readonly failed: number;
  readonly now: number;
}): string {
  const names = [...state.running].map(([path, begun]) => `${path} (${formatDuration(state.now - begun)})`);
  const failed = state.failed > 0 ? `${state.failed} failed, ` : "";
  return `${failed}${state.left} files left; running: ${names.join(", ")}`;
}

/** The text at the end: skipped tests, the slowest files, each failure, and the counts. */
export function formatSummary(results: readonly FileResult[], seed: number): string {
  const failed = results.filter(({ failures }) => failures.length > 0);
  return [
    ...formatSkipped(results),
    ...formatSlowest(results),
    ...failed.flatMap((file) => formatFailed(file, seed)),
  ]
    .concat("", formatCounts(results))
    .join("\n");
}

/** The plain closing line, `N passed, N failed`. */
function formatCounts(results: readonly FileResult[]): string {
  const count = (of: (result: FileResult) => number) => results.reduce((sum, result) => sum + of(result), 0);
  const skipped = count((result) => result.skipped.length);
  const counts = `${count(({ passed }) => passed)} passed, ${count(({ failures }) => failures.length)} failed`;
  return skipped > 0 ? `${counts}, ${skipped} skipped` : counts;
}

function formatSkipped(results: readonly FileResult[]): readonly string[] {
  const lines = results.flatMap(({ path, skipped }) =>
    skipped.map(
      ({ name, reason }) => `  ${path}: ${name}: ${reason === "true" ? "no reason given" : reason}`,
    ),
  );
  return lines.length === 0 ? [] : ["", "Skipped:", ...lines];
}

function formatSlowest(results: readonly FileResult[]): readonly string[] {
  const slowest = results.toSorted((a, b) => b.ms - a.ms).slice(0, slowestListed);
  return [
    "",
    "Slowest files:",
    ...slowest.map(({ path, ms }) => `${formatDuration(ms).padStart(12)}  ${path}`),
  ];
}

function formatFailed({ path, failures, output }: FileResult, seed: number): readonly string[] {
  const lines = failures.flatMap(({ name, line, error }) => [
    "",
    `FAILED ${path}${line === null ? "" : `:${line}`}: ${name.join(" > ")}`,
    ...indent(error.split("\n").slice(0, maxErrorLines)),
    `  repeat: npm test -- --seed ${seed} ${path}`,
  ]);
  const printed = output.trimEnd().split("\n").slice(-maxOutputLines);
  return output.trim() === ""
    ? lines
    : [...lines, "", `The end of what ${path} printed:`, ...indent(printed)];
}

function indent(lines: readonly string[]): readonly string[] {
  return lines.map((line) => `    ${line}`);
}
