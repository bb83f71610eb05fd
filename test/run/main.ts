// `npm test`: runs test files in parallel, each in a separate process, reports progress, and ends with the details of
// the failures. `npm test -- --help` prints the options.
import { randomInt } from "node:crypto";
import { join } from "node:path";
import { parseRunArguments, type RunArguments, runHelp } from "./arguments.ts";
import { runFiles } from "./run-files.ts";
import { selectFiles, type TestFile } from "./select-files.ts";
import { formatDuration, formatSummary } from "./summary.ts";

const root = join(import.meta.dirname, "../..");

/** Time limits of a file: after them it is killed, because a test that hangs must not block the whole run. */
const timeoutSeconds = { unit: 120, default: 600, all: 7200 } as const;

const exitCodes = { passed: 0, failed: 1, usage: 2, interrupted: 130 } as const;

process.exitCode = await main();

async function main(): Promise<number> {
  let order: RunArguments | null;
  let files: readonly TestFile[];
  try {
    order = parseRunArguments(process.argv.slice(2), process.env);
    files = order === null ? [] : selectFiles(order.tier, order.files, root);
  } catch (error) {
    process.stderr.write(`npm test: ${(error as Error).message}\nnpm test -- --help lists the options.\n`);
    return exitCodes.usage;
  }
  if (order === null) process.stdout.write(runHelp);
  return order === null ? exitCodes.passed : runAll(order, files);
}

async function runAll(order: RunArguments, files: readonly TestFile[]): Promise<number> {
  const seed = order.seed ?? randomInt(2 ** 31);
  const begun = performance.now();
  const interrupt = new AbortController();
  process.once("SIGINT", () => interrupt.abort());
  process.stdout.write(`${files.length} test files; seed ${seed} (repeat its choices with --seed ${seed})\n`);
  const results = await runFiles(files, {
    jobs: order.jobs,
    environment: environment(order, seed),
    timeoutSeconds: timeoutSeconds[order.tier],
    only: order.only,
    signal: interrupt.signal,
  });
  process.stdout.write(`${formatSummary(results, seed)}\nin ${formatDuration(performance.now() - begun)}\n`);
  if (interrupt.signal.aborted) return exitCodes.interrupted;
  const isFailed = results.some(
    ({ failures, skipped }) => failures.length > 0 || (order.failsOnSkip && skipped.length > 0),
  );
  return isFailed ? exitCodes.failed : exitCodes.passed;
}

/**
 * The variables of test/support/sampling.ts, and a cache of compiled code, with which a file's process starts in half
 * the time.
 */
function environment(order: RunArguments, seed: number): NodeJS.ProcessEnv {
  return {
    NODE_COMPILE_CACHE: join(root, "node_modules/.cache/solstice"),
    ...process.env,
    SOLSTICE_TEST_SEED: String(seed),
    ...(order.tier === "all" ? { SOLSTICE_TEST_EXHAUSTIVE: "1" } : {}),
  };
}
