import { readFile, rm } from "node:fs/promises";
import { z } from "zod";
import { errorText } from "../../core/errors.ts";
import { writeFileAtomically } from "../image-facts.ts";
import type { ImageFiles } from "../image-files.ts";

const failureSchema = z.object({
  /** What happened and what to do; without anything secret. */
  message: z.string().max(10_000),
  /** Ms since the epoch. */
  at: z.number(),
  /** How many bytes had come where the download may have been cut. */
  cutBytes: z.number().optional(),
});

/** Why the last preparation of an image failed. */
export type LastFailure = z.output<typeof failureSchema>;

/**
 * Remembers a failure for every process that lists the image; `cutBytes` where its download may have been cut there. A disk that
 * takes no note is not what went wrong.
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

/** Forgets the failure: the image is ready. */
export async function removeFailure(files: ImageFiles): Promise<void> {
  await rm(files.failure, { force: true });
}

/** The last failure, or null where there was none, or nothing readable is there. */
export async function readFailure(files: ImageFiles): Promise<LastFailure | null> {
  try {
    return failureSchema.parse(JSON.parse(await readFile(files.failure, "utf8")));
  } catch {
    return null;
  }
}
