import { SolsticeError } from "../core/errors.ts";
import { requestLimits } from "../core/job-request.ts";
import type { CliContext } from "./context.ts";
import { readBounded } from "./read-bounded.ts";

/** The flags of `enqueue` that say what to run. */
export interface ScriptFlags {
  readonly script?: string;
  readonly scriptFile?: string;
  readonly step?: readonly string[];
}

/** The part of a job request that says what to run. */
export type ScriptChoice =
  | { readonly script: string }
  | { readonly steps: readonly { readonly name: string; readonly run: string }[] };

/** What to run: exactly one of a script, a file (`-` is standard input) and steps. Throws `usage`. */
export async function chooseScript(flags: ScriptFlags, context: CliContext): Promise<ScriptChoice> {
  const ways = [flags.script, flags.scriptFile, flags.step];
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
  return { steps: (flags.step ?? []).map(parseStep) };
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

function parseStep(text: string): { name: string; run: string } {
  const separator = text.indexOf("=");
  if (separator > 0) return { name: text.slice(0, separator).trim(), run: text.slice(separator + 1) };
  throw new SolsticeError("usage", `--step: got "${text}"; needs NAME=COMMAND, such as 'test=make test'.`);
}
