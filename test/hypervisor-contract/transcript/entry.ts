import { z } from "zod";

/** One command of a transcript, which is a file of such lines (JSON). */
const entrySchema = z.strictObject({
  /** The test of the contract suite that it was run for. */
  test: z.string(),
  command: z.string(),
  arguments: z.array(z.string()),
  /** Null where it was ended by a signal, or never began. */
  exitCode: z.int().nullable(),
  stdout: z.string(),
  stderr: z.string(),
  /** How long it took, in milliseconds. */
  ms: z.number(),
});

/** See the schema: what a command was asked, and what it answered. */
export type TranscriptEntry = z.infer<typeof entrySchema>;

/** Reads a transcript. Throws an error that names the line which is none. */
export function parseTranscript(text: string): TranscriptEntry[] {
  return text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return [];
    try {
      return [entrySchema.parse(JSON.parse(line))];
    } catch (cause) {
      throw new Error(`line ${index + 1} is no line of a transcript`, { cause });
    }
  });
}
