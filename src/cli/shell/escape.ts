/** What is typed at the beginning of a line to leave a shell, as with ssh. */
export const escapeHelp = 'Leave with "~." at the beginning of a line, or "exit"; "~~" is one "~".';

const tilde = 0x7e;
const dot = 0x2e;
const lineEnds: readonly number[] = [0x0a, 0x0d];

/** What to send of what was typed, and whether the person wants to leave. */
export interface Typed {
  readonly bytes: Buffer;
  readonly leaves: boolean;
}

/** Finds the escape in what is typed, however the keys come. A `~` at the beginning of a line is kept until the next key. */
export class EscapeFilter {
  #atLineStart = true;
  #hasTilde = false;

  push(typed: Uint8Array): Typed {
    const bytes: number[] = [];
    for (const byte of typed) {
      if (this.#hasTilde) {
        this.#hasTilde = false;
        if (byte === dot) return { bytes: Buffer.from(bytes), leaves: true };
        bytes.push(tilde);
        if (byte === tilde) {
          this.#atLineStart = false;
          continue;
        }
      } else if (byte === tilde && this.#atLineStart) {
        this.#hasTilde = true;
        continue;
      }
      bytes.push(byte);
      this.#atLineStart = lineEnds.includes(byte);
    }
    return { bytes: Buffer.from(bytes), leaves: false };
  }
}
