import { open } from "node:fs/promises";
import { SolsticeError } from "../../core/errors.ts";
import { fileProblem } from "../../core/text/file-problem.ts";
import { readUtf8 } from "../../core/text/utf8-text.ts";
import type { CliContext } from "../context.ts";

/** A file that a flag names, and its size limit. */
export interface BoundedFile {
  /** `-` is standard input. */
  readonly fileName: string;
  /** The flag's name, for error messages. */
  readonly flag: string;
  readonly limitBytes: number;
}

/**
 * The text of a file or of standard input. Reads at most one byte more than the limit; the caller checks the length and
 * reports the limit. Throws `usage` if the file cannot be read or is not UTF-8: a script with replaced characters would run
 * differently.
 */
export async function readBounded(file: BoundedFile, context: CliContext): Promise<string> {
  const bytes = await readBytes(file, context);
  // The caller refuses a text that is too long; its last character may be cut here.
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
