import { createTextMask, type LogPart, MaskedStream } from "../../attempts/output/masked-stream.ts";
import { explainWithConsole, findTrouble } from "../../core/job/console-trouble.ts";
import type { Job } from "../../core/job/job.ts";
import type { Verdict } from "../../core/job/verdict.ts";
import { withoutTerminalSequences } from "../../core/text/terminal-sequences.ts";
import { appendLog, logStatus } from "../../store/logs/logs.ts";
import type { Context } from "../context.ts";

/** Maximum stored console log of one attempt, in bytes: a guest can write without end. */
const consoleLimitBytes = 4 * 1024 * 1024;

/** Maximum bytes of one console read. */
const readBytes = 256 * 1024;

/** Maximum reads in a row: 16 MiB, more than a backend keeps of a console. */
const maxReads = 64;

/** Maximum number of last console lines in a verdict, and their maximum length. */
const tailLines = 12;
const tailLineChars = 200;

/** The dependencies of reading a console. */
export type ConsoleContext = Pick<Context, "store" | "hypervisor" | "masks">;

/** Brings the store's copy of an attempt's console up to date, and returns its length. Idempotent. */
export async function keepConsole(context: ConsoleContext, job: Job): Promise<number> {
  const { received } = await logStatus(context.store, consoleOf(job));
  return await keepConsoleFrom(context, job, received);
}

/**
 * Stores the rest of the console of a stopped guest, including bytes held as a possible beginning of a
 * secret.
 */
export async function keepWholeConsole(context: ConsoleContext, job: Job): Promise<void> {
  const { received } = await logStatus(context.store, consoleOf(job));
  await copyConsole(context, job, { received, isWhole: true });
}

/** {@link keepConsole} for a caller that has the stored length; returns the new length. */
export async function keepConsoleFrom(context: ConsoleContext, job: Job, from: number): Promise<number> {
  return await copyConsole(context, job, { received: from, isWhole: false });
}

async function copyConsole(
  { store, hypervisor, masks }: ConsoleContext,
  job: Job,
  { received, isWhole }: { received: number; isWhole: boolean },
): Promise<number> {
  const console = new MaskedStream(masks.of(job)?.search ?? null, received);
  let kept = received;
  const keep = async (part: LogPart | null) => {
    if (part === null) return;
    kept = (await appendLog(store, { ...consoleOf(job), ...part, limitBytes: consoleLimitBytes })).received;
  };
  for (let reads = 0; reads < maxReads; reads += 1) {
    const data = await hypervisor.readConsole(job.id, console.position, readBytes);
    if (data.length === 0) break;
    await keep(console.take(data));
  }
  if (isWhole) await keep(console.finish());
  return kept;
}

function consoleOf({ id, attempt }: Job) {
  return { jobId: id, attempt, stream: "console" } as const;
}

/**
 * Adds evidence from the console to a verdict: a panic, an out-of-memory kill, and with `withTail` the last
 * lines.
 */
export async function explainVerdict(
  context: ConsoleContext,
  job: Job,
  { ended, withTail }: { ended: Verdict; withTail: boolean },
): Promise<Verdict> {
  if (ended.reason === "completed") return ended;
  const text = await readConsoleEnd(context, job);
  const explained = explainWithConsole(ended, findTrouble(withoutTerminalSequences(text)));
  if (!withTail) return explained;
  return { ...explained, message: explained.message + describeConsole(text) + imageHint(job, ended, text) };
}

/** The messages of SeaBIOS and OVMF when they find no bootable disk. */
const nothingToStart = /no bootable (device|option)|not a bootable disk/i;

/**
 * A hint to check the image when no kernel started: a file that is not a disk looks like that, and so does
 * the wrong firmware.
 */
function imageHint({ image }: Job, { reason }: Verdict, console: string): string {
  if (reason !== "boot_timeout" || (console.trim() !== "" && !nothingToStart.test(console))) return "";
  return (
    `\nImage ${image} did not boot: inspect it with solstice images. Check its source, and its firmware (bios or efi) ` +
    "in the image map; if both are right, let its kernel write to the serial console."
  );
}

/** The last 256 Ki characters of the console, without secrets. */
async function readConsoleEnd(context: ConsoleContext, job: Job): Promise<string> {
  const mask = createTextMask(context.masks.of(job)?.search ?? null);
  const tail = (before: string, bytes: Uint8Array) =>
    (before + Buffer.from(bytes).toString("utf8")).slice(-readBytes);
  let text = "";
  let offset = 0;
  for (let reads = 0; reads < maxReads; reads += 1) {
    const data = await context.hypervisor.readConsole(job.id, offset, readBytes);
    if (data.length === 0) break;
    offset += data.length;
    text = tail(text, mask.take(data));
  }
  return tail(text, mask.finish());
}

/** The description of a console's text, which is appended to a verdict's sentence. */
export function describeConsole(text: string): string {
  const lines = withoutTerminalSequences(text)
    .split(/[\r\n]+/)
    .filter((line) => line.trim() !== "");
  if (lines.length === 0) return " Its console is empty.";
  // The kernel prints registers and a stack after the panic line, which push it out of the last lines.
  const panic = lines.slice(0, -tailLines).findLast((line) => findTrouble(line).panic !== null);
  const shown = [...(panic ? [panic] : []), ...lines.slice(-tailLines)];
  return `\nThe last console lines:\n${shown.map((line) => `  | ${line.slice(0, tailLineChars)}`).join("\n")}`;
}
