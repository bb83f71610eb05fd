/** Help for the keys that leave a shell, the same as in ssh. */
export const escapeHelp = 'Leave with "~." at the beginning of a line, or with "exit"; "~~" sends one "~".';

const tilde = 0x7e;
const dot = 0x2e;
const lineEnds: readonly number[] = [0x0a, 0x0d];

/** Typed bytes to send; `leaves` is true when the person typed the escape. */
export interface Typed {
  readonly bytes: Buffer;
  readonly leaves: boolean;
}

/** Finds the escape in typed bytes, also when it is split over several reads. A `~` at the beginning of a line waits for the next key. */
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
