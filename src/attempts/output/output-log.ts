import type { Job } from "../../core/job/job.ts";
import { type MaskedBytes, Masker } from "../../core/secrets/masker.ts";
import { appendLog, digestBoundary, logStatus } from "../../store/logs/logs.ts";
import type { Store } from "../../store/store.ts";
import type { AttemptMask, AttemptMasks, OutputMask } from "./attempt-masks.ts";

/** What the functions of this file work with. */
export interface OutputLogParts {
  readonly store: Store;
  readonly masks: AttemptMasks;
  /** How much of a log is kept, in bytes. */
  readonly logLimitBytes: number;
}

/**
 * Takes bytes of a job's output, and tells how many came without a gap. Secrets are masked before anything is stored. The
 * last bytes may be the beginning of one: they count as received, and are stored once it is known what they are. Should this
 * process end before that, `received` goes back to where it needs the output again, and the runner sends it once more.
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
  const known = output.position - append.offset;
  if (known < 0 || known >= append.data.length) return output.position;
  const take = () => {
    output.position += append.data.length - known;
    return output.masker.feed(append.data.subarray(known));
  };
  return await storeMasked(parts, job, { mask, output, take });
}

/** How many bytes of a job's output came without a gap. */
export async function receivedOutput(parts: OutputLogParts, job: Job): Promise<number> {
  const mask = parts.masks.of(job);
  if (mask === null) return (await logStatus(parts.store, logOf(job))).received;
  return (await outputOf(parts, job, mask)).position;
}

/** Stores what was held back: nothing comes any more. Does nothing for an attempt whose output nobody masks. */
export async function releaseOutput(
  parts: OutputLogParts,
  job: Job,
  mask: AttemptMask | null,
): Promise<void> {
  const output = mask?.output ?? null;
  if (mask === null || output === null || output.masker.heldBytes === 0) return;
  await storeMasked(parts, job, { mask, output, take: () => output.masker.finish() });
}

/** Where masking is; after a restart it begins early enough to see every secret that ends in what is not stored yet. */
async function outputOf(parts: OutputLogParts, job: Job, mask: AttemptMask): Promise<OutputMask> {
  if (mask.output === null) {
    const { received } = await logStatus(parts.store, logOf(job));
    const position = digestBoundary(Math.max(0, received - mask.search.longest));
    mask.output = { masker: new Masker(mask.search), position, lastRaw: new Uint8Array() };
  }
  return mask.output;
}

/** Whatever goes wrong, the masking begins again from what is stored: bytes that it has taken must not be missing. */
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
    // What of it is stored already is stored masked.
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
