import { open } from "node:fs/promises";
import { SolsticeError } from "../core/errors.ts";
import { fileProblem } from "../core/file-problem.ts";
import type { CliContext } from "./context.ts";

/** Which file a flag names, and how much of it may be read. */
export interface BoundedFile {
  /** `-` is standard input. */
  readonly fileName: string;
  /** Named in the error. */
  readonly flag: string;
  readonly limitBytes: number;
}

/**
 * The text of a file or of standard input. At most one byte more than the limit is read: who checks the text then says
 * what the limit is. Throws `usage` when it cannot be read.
 */
export async function readBounded(file: BoundedFile, context: CliContext): Promise<string> {
  try {
    return file.fileName === "-" ? await readStream(context.stdin, file.limitBytes) : await readFile(file);
  } catch (error) {
    throw new SolsticeError("usage", `${file.flag}: cannot read ${file.fileName}: ${fileProblem(error)}.`, {
      cause: error,
    });
  }
}

async function readFile({ fileName, limitBytes }: BoundedFile): Promise<string> {
  await using file = await open(fileName);
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(limitBytes + 1) });
  return buffer.toString("utf8", 0, bytesRead);
}

async function readStream(stream: NodeJS.ReadableStream, limitBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    chunks.push(Buffer.from(chunk));
    length += chunk.length;
    if (length > limitBytes) break;
  }
  return Buffer.concat(chunks).toString("utf8");
}
