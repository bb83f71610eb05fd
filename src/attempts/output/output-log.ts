import type { Job } from "../../core/job/job.ts";
import { type MaskedBytes, Masker } from "../../core/secrets/masker.ts";
import { appendLog, digestBoundary, logStatus } from "../../store/logs/logs.ts";
import type { Store } from "../../store/store.ts";
import type { AttemptMask, AttemptMasks, OutputMask } from "./attempt-masks.ts";

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
  const take = () => {
    output.position += append.data.length - overlap;
    return output.masker.feed(append.data.subarray(overlap));
  };
  return await storeMasked(parts, job, { mask, output, take });
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
  if (mask === null || output === null || output.masker.heldBytes === 0) return;
  await storeMasked(parts, job, { mask, output, take: () => output.masker.finish() });
}

/**
 * The state of masking. After a restart, masking begins early enough to include every secret that ends in
 * bytes not yet stored.
 */
async function outputOf(parts: OutputLogParts, job: Job, mask: AttemptMask): Promise<OutputMask> {
  if (mask.output === null) {
    const { received } = await logStatus(parts.store, logOf(job));
    const position = digestBoundary(Math.max(0, received - mask.search.longest));
    mask.output = { masker: new Masker(mask.search), position, lastRaw: new Uint8Array() };
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
  { mask, output, take }: { mask: AttemptMask; output: OutputMask; take: () => MaskedBytes },
): Promise<number> {
  mask.output = null;
  const { raw, masked } = take();
  if (raw.length > 0) {
    const end = output.position - output.masker.heldBytes;
    const data = Buffer.concat([output.lastRaw, raw]);
    // The bytes of `lastRaw` are already stored in masked form, so zeros replace them here.
    const kept = Buffer.concat([Buffer.alloc(output.lastRaw.length), masked]);
    const offset = end - data.length;
    const { gap } = await appendLog(store, { ...logOf(job), offset, data, kept, limitBytes });
    if (gap) return (await logStatus(store, logOf(job))).received;
    output.lastRaw = Uint8Array.from(data.subarray(data.length - (end - digestBoundary(end))));
  }
  mask.output = output;
  return output.position;
}

function logOf({ id: jobId, attempt }: Job) {
  return { jobId, attempt, stream: "output" as const };
}
