import { stripVTControlCharacters } from "node:util";
import { explainWithConsole, findTrouble } from "../../core/console-trouble.ts";
import type { Job } from "../../core/job.ts";
import type { Verdict } from "../../core/verdict.ts";
import { appendLog, logStatus } from "../../store/logs.ts";
import type { Context } from "../context.ts";

/** The longest console log kept of one attempt, in bytes: a guest can write to it without end. */
const consoleLimitBytes = 4 * 1024 * 1024;

/** How much of the console one read takes, in bytes. */
const readBytes = 256 * 1024;

/** Reads in a row at most: 16 MiB, which is more than a backend keeps of a console. */
const maxReads = 64;

/** How many of the console's last lines a verdict shows, and how long a line may be. */
const tailLines = 12;
const tailLineChars = 200;

/** The part of a {@link Context} that reading a console takes. */
export type ConsoleContext = Pick<Context, "store" | "hypervisor">;

/** Brings the store's copy of an attempt's console up to date, and returns how long it is. Repeating it is harmless. */
export async function keepConsole(context: ConsoleContext, job: Job): Promise<number> {
  const { received } = await logStatus(context.store, consoleOf(job));
  return await keepConsoleFrom(context, job, received);
}

/** {@link keepConsole} for who knows how much the store has; returns how much it has then. */
export async function keepConsoleFrom(context: ConsoleContext, job: Job, from: number): Promise<number> {
  let received = from;
  for (let reads = 0; reads < maxReads; reads += 1) {
    const data = await context.hypervisor.readConsole(job.id, received, readBytes);
    if (data.length === 0) break;
    const part = { offset: received, data, limitBytes: consoleLimitBytes };
    received = (await appendLog(context.store, { ...consoleOf(job), ...part })).received;
  }
  return received;
}

function consoleOf({ id, attempt }: Job) {
  return { jobId: id, attempt, stream: "console" } as const;
}

/** A verdict with what the console knows: a panic, a kill for want of memory, and `withTail` its last lines. */
export async function explainVerdict(
  context: ConsoleContext,
  job: Job,
  { ended, withTail }: { ended: Verdict; withTail: boolean },
): Promise<Verdict> {
  if (ended.reason === "completed") return ended;
  const text = await readConsoleEnd(context, job);
  const explained = explainWithConsole(ended, findTrouble(stripVTControlCharacters(text)));
  return withTail ? { ...explained, message: explained.message + describeConsole(text) } : explained;
}

/** The console's end, 256 Ki characters of it. */
async function readConsoleEnd(context: ConsoleContext, job: Job): Promise<string> {
  let text = "";
  let offset = 0;
  for (let reads = 0; reads < maxReads; reads += 1) {
    const data = await context.hypervisor.readConsole(job.id, offset, readBytes);
    if (data.length === 0) break;
    offset += data.length;
    text = (text + data.toString("utf8")).slice(-readBytes);
  }
  return text;
}

/** What a console's text adds to a verdict's sentence. */
export function describeConsole(text: string): string {
  const lines = stripVTControlCharacters(text)
    .split(/[\r\n]+/)
    .filter((line) => line.trim() !== "");
  if (lines.length === 0) return " Its console is empty.";
  // The registers and the stack that a kernel prints after it push the line that counts out of sight.
  const panic = lines.slice(0, -tailLines).findLast((line) => findTrouble(line).panic !== null);
  const shown = [...(panic ? [panic] : []), ...lines.slice(-tailLines)];
  return `\nThe last console lines:\n${shown.map((line) => `  | ${line.slice(0, tailLineChars)}`).join("\n")}`;
}
