import type { LogPiece } from "./follow-log.ts";

/** Most bytes of a line in one document. A longer line becomes several documents, all but the last with `ends_line` false. */
const lineBytesMax = 64 * 1024;

const newline = 10;

/** A line of a log as `logs --json` prints it. `docs/reference/cli.md` documents the keys; they must not change. */
export interface LogLineDocument {
  readonly attempt: number;
  /** Position of the line's first byte in the log of its attempt. */
  readonly offset: number;
  /** The line without its newline; bytes that are not UTF-8 are U+FFFD. */
  readonly text: string;
  /** The bytes of a line that is not UTF-8; else null. */
  readonly base64: string | null;
  /** False when the line continues in the next document, or the log ends without a newline. */
  readonly ends_line: boolean;
  /** Bytes before this line that were not kept. */
  readonly skipped_bytes: number;
}

/** Cuts the pieces of a log into lines. Keeps one line of {@link lineBytesMax} in memory at most. */
export class LogLines {
  #buffered: Uint8Array = Buffer.alloc(0);
  #place = { attempt: 0, offset: 0 };
  #skipped = 0;

  /** The lines that are complete with `piece`. */
  *add(piece: LogPiece): Generator<LogLineDocument> {
    if (piece.attempt !== this.#place.attempt || piece.skipped > 0) {
      yield* this.end();
      this.#place = { attempt: piece.attempt, offset: piece.offset };
      this.#skipped = piece.skipped;
    }
    this.#buffered = Buffer.concat([this.#buffered, piece.data]);
    let start = 0;
    for (;;) {
      const at = this.#buffered.indexOf(newline, start);
      const end = at < 0 ? this.#buffered.length : at + 1;
      if (end - start > lineBytesMax) {
        yield this.#take(start, start + lineBytesMax);
        start += lineBytesMax;
      } else if (at >= 0) {
        yield this.#take(start, end);
        start = end;
      } else break;
    }
    this.#buffered = this.#buffered.subarray(start);
  }

  /** The last line of an attempt, which has no newline. Another attempt may follow. */
  *end(): Generator<LogLineDocument> {
    if (this.#buffered.length > 0) yield this.#take(0, this.#buffered.length);
    this.#buffered = Buffer.alloc(0);
  }

  #take(start: number, end: number): LogLineDocument {
    const bytes = this.#buffered.subarray(start, end);
    const endsLine = bytes.at(-1) === newline;
    const line = endsLine ? bytes.subarray(0, -1) : bytes;
    const document = { ...this.#place, ...textOf(line), ends_line: endsLine, skipped_bytes: this.#skipped };
    this.#skipped = 0;
    this.#place = { ...this.#place, offset: this.#place.offset + bytes.length };
    return document;
  }
}

function textOf(line: Uint8Array): Pick<LogLineDocument, "text" | "base64"> {
  const bytes = Buffer.from(line.buffer, line.byteOffset, line.byteLength);
  const text = bytes.toString("utf8");
  return { text, base64: Buffer.from(text).equals(bytes) ? null : bytes.toString("base64") };
}
