import { SolsticeError } from "../../core/errors.ts";
import { type RequestStep, requestLimits } from "../../core/request/job-request.ts";
import type { CliContext } from "../context.ts";
import { readBounded } from "./read-bounded.ts";

/** The flags of `enqueue` that name the script or the steps. */
export interface ScriptFlags {
  readonly script?: string;
  readonly scriptFile?: string;
  readonly step?: readonly StepFlag[];
  readonly alwaysStep?: readonly StepFlag[];
  /** Time limit of each step, in seconds. */
  readonly stepTimeout?: number;
}

/** One `--step` or `--always-step`: its text, and its position among the flags of both kinds. */
export interface StepFlag {
  readonly text: string;
  readonly place: number;
}

/** The script or the steps of a job request. */
export type ScriptChoice = { readonly script: string } | { readonly steps: readonly RequestStep[] };

/** The script or the steps, from exactly one of `--script`, `--script-file` (`-` is standard input) and steps. Throws `usage`. */
export async function chooseScript(flags: ScriptFlags, context: CliContext): Promise<ScriptChoice> {
  const steps = stepsOfFlags(flags);
  if (flags.stepTimeout !== undefined && steps === undefined) {
    throw new SolsticeError(
      "usage",
      "--step-timeout limits each --step and --always-step, but no step is given.",
      {
        remedy: "Use --timeout to limit the whole job.",
      },
    );
  }
  const given = [flags.script, flags.scriptFile, steps].filter((choice) => choice !== undefined);
  if (given.length !== 1) {
    throw new SolsticeError("usage", "Give exactly one of --script, --script-file, and one or more --step.", {
      remedy: "For example: solstice enqueue --script 'make test', or a whole request with --file job.yaml.",
    });
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

/** The steps of both kinds, in the order of the command line; undefined without steps. */
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

/** `NAME=VALUE` pairs as an object; the last pair of a name has priority. Throws `usage`. */
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
