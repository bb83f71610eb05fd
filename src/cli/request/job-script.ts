import { SolsticeError } from "../../core/errors.ts";
import { type RequestStep, requestLimits } from "../../core/request/job-request.ts";
import type { CliContext } from "../context.ts";
import { readBounded } from "./read-bounded.ts";

/** The flags of `enqueue` that say what to run. */
export interface ScriptFlags {
  readonly script?: string;
  readonly scriptFile?: string;
  readonly step?: readonly StepFlag[];
  readonly alwaysStep?: readonly StepFlag[];
  /** Of each step, in seconds. */
  readonly stepTimeout?: number;
}

/** One `--step` or `--always-step`: its text, and its place among all of both kinds. */
export interface StepFlag {
  readonly text: string;
  readonly place: number;
}

/** The part of a job request that says what to run. */
export type ScriptChoice = { readonly script: string } | { readonly steps: readonly RequestStep[] };

/** What to run: exactly one of a script, a file (`-` is standard input) and steps. Throws `usage`. */
export async function chooseScript(flags: ScriptFlags, context: CliContext): Promise<ScriptChoice> {
  const steps = stepsOfFlags(flags);
  if (flags.stepTimeout !== undefined && steps === undefined) {
    throw new SolsticeError(
      "usage",
      "--step-timeout limits each --step and --always-step, and there is none.",
      {
        remedy: "The whole job's limit is --timeout.",
      },
    );
  }
  const ways = [flags.script, flags.scriptFile, steps];
  if (ways.filter((way) => way !== undefined).length !== 1) {
    throw new SolsticeError(
      "usage",
      "Say what to run in one way: --script, --script-file, or one or more --step.",
      {
        remedy:
          "For example: solstice enqueue --script 'make test', or a whole request with --file job.yaml.",
      },
    );
  }
  if (flags.script !== undefined) return { script: flags.script };
  if (flags.scriptFile !== undefined) {
    const file = {
      fileName: flags.scriptFile,
      flag: "--script-file",
      limitBytes: requestLimits.scriptBytes,
    };
    return { script: await readBounded(file, context) };
  }
  return { steps: steps ?? [] };
}

/** The steps of both kinds in the order they were given; undefined when there are none. */
function stepsOfFlags({ step = [], alwaysStep = [], stepTimeout }: ScriptFlags): RequestStep[] | undefined {
  const flags = [
    ...step.map((flag) => ({ ...flag, name: "--step" })),
    ...alwaysStep.map((flag) => ({ ...flag, name: "--always-step" })),
  ];
  if (flags.length === 0) return undefined;
  return flags
    .sort((a, b) => a.place - b.place)
    .map(({ text, name }) => ({
      ...parseStep(text, name),
      ...(name === "--always-step" && { always: true }),
      ...(stepTimeout !== undefined && { timeout_seconds: stepTimeout }),
    }));
}

/** `NAME=VALUE` pairs as an object; the later of two wins. Throws `usage`. */
export function parseEnvironment(pairs: readonly string[]): Record<string, string> {
  const entries = pairs.map((pair) => {
    const separator = pair.indexOf("=");
    if (separator > 0) return [pair.slice(0, separator), pair.slice(separator + 1)] as const;
    throw new SolsticeError("usage", `--env: got "${pair}"; needs NAME=VALUE.`);
  });
  return Object.fromEntries(entries);
}

function parseStep(text: string, flag: string): { name: string; run: string } {
  const separator = text.indexOf("=");
  if (separator > 0) return { name: text.slice(0, separator).trim(), run: text.slice(separator + 1) };
  throw new SolsticeError("usage", `${flag}: got "${text}"; needs NAME=COMMAND, such as 'test=make test'.`);
}
