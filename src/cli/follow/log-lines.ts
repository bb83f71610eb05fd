import type { LogPiece } from "./follow-log.ts";

/** The longest line that is one document; a longer one is several, each but the last without `ends_line`. */
const lineBytesMax = 64 * 1024;

const newline = 10;

/** A line of a log as `logs --json` prints it; `docs/reference/cli.md` documents the keys, which stay. */
export interface LogLineDocument {
  readonly attempt: number;
  /** Of its first byte in the log of its attempt. */
  readonly offset: number;
  /** Without the line's end; bytes that are not UTF-8 are U+FFFD here. */
  readonly text: string;
  /** The bytes, where `text` does not hold them all; else null. */
  readonly base64: string | null;
  /** False where the line goes on in the next document, or the log ends without a line's end. */
  readonly ends_line: boolean;
  /** Bytes before this line that were not kept. */
  readonly skipped_bytes: number;
}

/** Cuts the pieces of a log into lines. Holds one line of {@link lineBytesMax} at most. */
export class LogLines {
  #held: Uint8Array = Buffer.alloc(0);
  #place = { attempt: 0, offset: 0 };
  #skipped = 0;

  /** The lines that `piece` ends. */
  *add(piece: LogPiece): Generator<LogLineDocument> {
    if (piece.attempt !== this.#place.attempt || piece.skipped > 0) {
      yield* this.end();
      this.#place = { attempt: piece.attempt, offset: piece.offset };
      this.#skipped = piece.skipped;
    }
    this.#held = Buffer.concat([this.#held, piece.data]);
    let start = 0;
    for (;;) {
      const at = this.#held.indexOf(newline, start);
      const end = at < 0 ? this.#held.length : at + 1;
      if (end - start > lineBytesMax) {
        yield this.#take(start, start + lineBytesMax);
        start += lineBytesMax;
      } else if (at >= 0) {
        yield this.#take(start, end);
        start = end;
      } else break;
    }
    this.#held = this.#held.subarray(start);
  }

  /** The rest, which no line's end follows. Another attempt may follow. */
  *end(): Generator<LogLineDocument> {
    if (this.#held.length > 0) yield this.#take(0, this.#held.length);
    this.#held = Buffer.alloc(0);
  }

  #take(start: number, end: number): LogLineDocument {
    const bytes = this.#held.subarray(start, end);
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
