import { readFile, rm } from "node:fs/promises";
import { z } from "zod";
import { errorText } from "../../core/errors.ts";
import { writeFileAtomically } from "../image-facts.ts";
import type { ImageFiles } from "../image-files.ts";

const failureSchema = z.object({
  /** Error and remedy, without secrets. */
  message: z.string().max(10_000),
  /** Ms since the epoch. */
  at: z.number(),
  /** Number of received bytes of a download that may have been truncated. */
  cutBytes: z.number().optional(),
});

/** Reason why the last preparation of an image failed. */
export type LastFailure = z.output<typeof failureSchema>;

/**
 * Records a failure for every process that lists the image; `cutBytes` for a download that may have been truncated
 * there. An error while recording is ignored, because the original failure matters more.
 */
export async function saveFailure(
  files: ImageFiles,
  error: unknown,
  cutBytes: number | null = null,
): Promise<void> {
  const message = errorText(error).slice(0, 10_000);
  const failure: LastFailure = { message, at: Date.now(), ...(cutBytes !== null && { cutBytes }) };
  await writeFileAtomically(files.failure, JSON.stringify(failure)).catch(() => {});
}

/** Removes the recorded failure after a success. */
export async function removeFailure(files: ImageFiles): Promise<void> {
  await rm(files.failure, { force: true });
}

/** Reads the last failure; null when it is missing or unreadable. */
export async function readFailure(files: ImageFiles): Promise<LastFailure | null> {
  try {
    return failureSchema.parse(JSON.parse(await readFile(files.failure, "utf8")));
  } catch {
    return null;
  }
}
