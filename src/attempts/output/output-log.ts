import type { Job } from "../../core/job/job.ts";
import { appendLog, logStatus } from "../../store/logs/logs.ts";
import type { Store } from "../../store/store.ts";
import type { AttemptMask, AttemptMasks } from "./attempt-masks.ts";
import { type LogPart, MaskedStream } from "./masked-stream.ts";

/** The dependencies of the functions in this file. */
export interface OutputLogParts {
  readonly store: Store;
  readonly masks: AttemptMasks;
  /** Maximum stored log, in bytes. */
  readonly logLimitBytes: number;
}

/**
 * Appends bytes to a job's output, and returns the number of bytes received without a gap. Secrets are masked
 * before the bytes are stored. The last bytes may be the beginning of a secret: they count as received, and
 * are stored when the following bytes decide. If this process crashes before that, `received` moves back to
 * the position from which masking needs the output again, and the runner sends those bytes again.
 */
export async function appendOutput(
  parts: OutputLogParts,
  job: Job,
  append: { readonly offset: number; readonly data: Uint8Array },
): Promise<number> {
  const mask = parts.masks.of(job);
  const { logLimitBytes: limitBytes } = parts;
  if (mask === null) {
    return (await appendLog(parts.store, { ...logOf(job), ...append, limitBytes })).received;
  }
  const output = await outputOf(parts, job, mask);
  const overlap = output.position - append.offset;
  if (overlap < 0 || overlap >= append.data.length) return output.position;
  return await storeMasked(parts, job, {
    mask,
    output,
    take: () => output.take(append.data.subarray(overlap)),
  });
}

/** The number of bytes of a job's output that were received without a gap. */
export async function receivedOutput(parts: OutputLogParts, job: Job): Promise<number> {
  const mask = parts.masks.of(job);
  if (mask === null) return (await logStatus(parts.store, logOf(job))).received;
  return (await outputOf(parts, job, mask)).position;
}

/** Stores the held bytes of an output that has ended. Does nothing for an attempt without masking. */
export async function releaseOutput(
  parts: OutputLogParts,
  job: Job,
  mask: AttemptMask | null,
): Promise<void> {
  const output = mask?.output ?? null;
  if (mask === null || output === null) return;
  await storeMasked(parts, job, { mask, output, take: () => output.finish() });
}

/** The masked stream of the output. After a restart or an error, the stream continues the stored log. */
async function outputOf(parts: OutputLogParts, job: Job, mask: AttemptMask): Promise<MaskedStream> {
  if (mask.output === null) {
    const { received } = await logStatus(parts.store, logOf(job));
    mask.output = new MaskedStream(mask.search, received);
  }
  return mask.output;
}

/**
 * Stores masked bytes. After any error, masking restarts from the stored log, because accepted bytes must not
 * be lost.
 */
async function storeMasked(
  { store, logLimitBytes: limitBytes }: OutputLogParts,
  job: Job,
  { mask, output, take }: { mask: AttemptMask; output: MaskedStream; take: () => LogPart | null },
): Promise<number> {
  mask.output = null;
  const part = take();
  if (part !== null) {
    const { gap } = await appendLog(store, { ...logOf(job), ...part, limitBytes });
    if (gap) return (await logStatus(store, logOf(job))).received;
  }
  mask.output = output;
  return output.position;
}

function logOf({ id: jobId, attempt }: Job) {
  return { jobId, attempt, stream: "output" as const };
}
