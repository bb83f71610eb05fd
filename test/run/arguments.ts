import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";

/** The extent of a run: `unit` starts no guest, broker, database or daemon; `all` adds exhaustive and long tests. */
export type Tier = "unit" | "default" | "all";

/** The options of the command line. */
export interface RunArguments {
  readonly tier: Tier;
  /** Files or globs, relative to the project; empty: all files of the tier. */
  readonly files: readonly string[];
  /** The seed; null: a new seed. */
  readonly seed: number | null;
  /** Number of files that start programs and run in parallel; unit tests run one file for each processor. */
  readonly jobs: number;
  /** Runs only tests whose names match this pattern; null: all. */
  readonly only: string | null;
  /** True: a skipped test fails the run. */
  readonly failsOnSkip: boolean;
}

/** The output of `--help`. */
export const runHelp = `Usage: npm test -- [OPTIONS] [FILE, FOLDER or GLOB ...]

  npm test                 all tests except exhaustive and long ones
  npm run test:unit        no guest, broker, database or daemon
  npm run test:all         every kill point, every shell with every client, long chaos

  --seed N        repeats the choices of a run, which prints its seed first
  --only PATTERN  only tests whose names match
  --jobs N        number of files that start programs and run in parallel
  --no-skips      a skipped test fails the run, as with CI=true
  --help          prints this text
`;

/** Files that start programs wait for half of their time. */
const filesPerProcessor = 2.5;
const maxJobs = 64;
const maxSeed = 2 ** 31 - 1;

/** Reads the command line; null when it contains `--help`. Throws a plain error that names the mistake. */
export function parseRunArguments(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): RunArguments | null {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      unit: { type: "boolean", default: false },
      all: { type: "boolean", default: false },
      seed: { type: "string" },
      only: { type: "string" },
      jobs: { type: "string" },
      "no-skips": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return null;
  const jobs = values.jobs ?? String(Math.ceil(filesPerProcessor * availableParallelism()));
  return {
    tier: values.all ? "all" : values.unit ? "unit" : "default",
    files: positionals,
    seed: values.seed === undefined ? null : readInteger("--seed", values.seed, [0, maxSeed]),
    jobs: readInteger("--jobs", jobs, [1, maxJobs]),
    only: values.only ?? null,
    failsOnSkip: values["no-skips"] || environment.CI === "true",
  };
}

function readInteger(option: string, text: string, [min, max]: readonly [number, number]): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new Error(`${option} takes a whole number from ${min} to ${max}, not '${text}'.`);
}
