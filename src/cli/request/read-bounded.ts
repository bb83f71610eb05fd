import { open } from "node:fs/promises";
import { SolsticeError } from "../../core/errors.ts";
import { fileProblem } from "../../core/text/file-problem.ts";
import { readUtf8 } from "../../core/text/utf8-text.ts";
import type { CliContext } from "../context.ts";

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
 * what the limit is. Throws `usage` when it cannot be read, and when it is not UTF-8: what was replaced would run otherwise.
 */
export async function readBounded(file: BoundedFile, context: CliContext): Promise<string> {
  const bytes = await readBytes(file, context);
  // A text that is too long is refused for that; its last character may be cut.
  if (bytes.length > file.limitBytes) return bytes.toString("utf8");
  const read = readUtf8(bytes);
  if ("text" in read) return read.text;
  const which = file.fileName === "-" ? "standard input" : file.fileName;
  throw new SolsticeError("usage", `${file.flag}: line ${read.wrongLine} of ${which} is not UTF-8 text.`, {
    remedy: "Save the file as UTF-8, for example with: iconv -f latin1 -t utf-8 FILE",
  });
}

async function readBytes(file: BoundedFile, context: CliContext): Promise<Buffer> {
  try {
    return file.fileName === "-" ? await readStream(context.stdin, file.limitBytes) : await readFile(file);
  } catch (error) {
    throw new SolsticeError("usage", `${file.flag}: cannot read ${file.fileName}: ${fileProblem(error)}.`, {
      cause: error,
    });
  }
}

async function readFile({ fileName, limitBytes }: BoundedFile): Promise<Buffer> {
  await using file = await open(fileName);
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(limitBytes + 1) });
  return buffer.subarray(0, bytesRead);
}

async function readStream(stream: NodeJS.ReadableStream, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    chunks.push(Buffer.from(chunk));
    length += chunk.length;
    if (length > limitBytes) break;
  }
  return Buffer.concat(chunks);
}
