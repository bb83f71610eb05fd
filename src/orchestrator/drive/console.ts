import { stripVTControlCharacters } from "node:util";
import type { Job } from "../../core/job.ts";
import { appendLog, logStatus } from "../../store/logs.ts";
import type { Context } from "../context.ts";

/** The longest console log kept of one attempt, in bytes: a guest can write to it without end. */
const consoleLimitBytes = 4 * 1024 * 1024;

/** How much of the console one read takes, in bytes. */
const readBytes = 256 * 1024;

/** How many of the console's last lines a verdict shows, and how long a line may be. */
const tailLines = 12;
const tailLineChars = 200;

/** Brings the store's copy of an attempt's console up to date. Repeating it appends only what is new. */
export async function keepConsole(context: Context, job: Job): Promise<void> {
  const log = { jobId: job.id, attempt: job.attempt, stream: "console" } as const;
  let { received } = await logStatus(context.store, log);
  while (received < consoleLimitBytes) {
    const data = await context.hypervisor.readConsole(job.id, received, readBytes);
    if (data.length === 0) return;
    const answer = await appendLog(context.store, {
      ...log,
      offset: received,
      data,
      limitBytes: consoleLimitBytes,
    });
    received = answer.received;
  }
}

/** The console's last lines as an appendix to a verdict's sentence, or nothing where the console is empty. */
export async function consoleTail(context: Context, job: Job): Promise<string> {
  let text = "";
  for (let offset = 0; offset < consoleLimitBytes; ) {
    const data = await context.hypervisor.readConsole(job.id, offset, readBytes);
    if (data.length === 0) break;
    offset += data.length;
    text = (text + data.toString("utf8")).slice(-readBytes);
  }
  return describeConsole(text);
}

/** What a console's text adds to a verdict's sentence. */
export function describeConsole(text: string): string {
  const lines = stripVTControlCharacters(text)
    .split(/[\r\n]+/)
    .filter((line) => line.trim() !== "");
  if (lines.length === 0) return " Its console is empty.";
  // The registers and the stack that a kernel prints after it push the line that counts out of sight.
  const panic = lines.slice(0, -tailLines).findLast((line) => /Kernel panic/.test(line));
  const shown = [...(panic ? [panic] : []), ...lines.slice(-tailLines)];
  return `\nThe last console lines:\n${shown.map((line) => `  | ${line.slice(0, tailLineChars)}`).join("\n")}`;
}
