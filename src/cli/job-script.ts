import { open } from "node:fs/promises";
import { errorText, SolsticeError } from "../core/errors.ts";
import { requestLimits } from "../core/job-request.ts";
import type { CliContext } from "./context.ts";

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
        remedy: "For example: solstice enqueue --script 'make test'",
      },
    );
  }
  if (flags.script !== undefined) return { script: flags.script };
  if (flags.scriptFile !== undefined) return { script: await readScript(flags.scriptFile, context) };
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

async function readScript(fileName: string, context: CliContext): Promise<string> {
  try {
    return fileName === "-" ? await readStream(context.stdin) : await readFileBounded(fileName);
  } catch (error) {
    throw new SolsticeError("usage", `--script-file: cannot read ${fileName}: ${errorText(error)}.`, {
      cause: error,
    });
  }
}

/** One byte more than is allowed is read: the request's own check then says what the limit is. */
async function readFileBounded(fileName: string): Promise<string> {
  await using file = await open(fileName);
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(requestLimits.scriptBytes + 1) });
  return buffer.toString("utf8", 0, bytesRead);
}

async function readStream(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    chunks.push(Buffer.from(chunk));
    length += chunk.length;
    if (length > requestLimits.scriptBytes) break;
  }
  return Buffer.concat(chunks).toString("utf8");
}
