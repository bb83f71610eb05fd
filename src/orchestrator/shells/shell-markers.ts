import { shellEndMark } from "../../core/job/shell-order.ts";

const esc = "\u001b";
const marker = new RegExp(`^${esc}_solstice-shell (\\d{1,10}) (?:begun|ended (\\d{1,3}))${esc}\\\\`);
const longestMark = shellEndMark(2 ** 32 - 1, 255).length;
const start = Buffer.from("\u001b_solstice-shell ");

/** A piece of a shell's output: the bytes to show, and the events of its marks. */
export interface ShellOutput {
  readonly shown: Buffer;
  /** True when the shell has just become ready for input. */
  readonly hasBegun: boolean;
  /** The exit code when the shell has ended, else null; later bytes are not its own. */
  readonly exitCode: number | null;
}

/**
 * Finds the marks at the beginning and the end of a shell's output, also across pieces, and removes them.
 * Marks of other numbers are also removed: the end of an earlier shell may arrive late. A guest can fake
 * marks, which ends only its own shell.
 */
export class ShellMarkers {
  readonly #number: number;
  #kept = Buffer.alloc(0);

  constructor(number: number) {
    this.#number = number;
  }

  /** Processes the next piece. A possible beginning of a mark is held until more bytes arrive. */
  push(piece: Uint8Array): ShellOutput {
    let rest = Buffer.concat([this.#kept, piece]);
    this.#kept = Buffer.alloc(0);
    const shown: Buffer[] = [];
    let hasBegun = false;
    for (;;) {
      const at = beginsAt(rest);
      if (at === -1) return { shown: Buffer.concat([...shown, rest]), hasBegun, exitCode: null };
      shown.push(rest.subarray(0, at));
      rest = rest.subarray(at);
      const match = marker.exec(rest.subarray(0, longestMark).toString("latin1"));
      if (match === null && rest.length < longestMark) {
        this.#kept = rest;
        return { shown: Buffer.concat(shown), hasBegun, exitCode: null };
      }
      if (match === null) {
        // Not a mark: its first byte is shown, and the rest is checked again.
        shown.push(rest.subarray(0, 1));
        rest = rest.subarray(1);
        continue;
      }
      rest = rest.subarray(match[0].length);
      if (Number(match[1]) !== this.#number) continue;
      hasBegun = true;
      if (match[2] === undefined) continue;
      return { shown: Buffer.concat(shown), hasBegun, exitCode: Number(match[2]) };
    }
  }

  /** The held bytes, after the last piece. */
  flush(): Buffer {
    return this.#kept;
  }
}

/** The position of a mark, or of its beginning at the end of `bytes`; -1: none. */
function beginsAt(bytes: Buffer): number {
  const whole = bytes.indexOf(start);
  if (whole !== -1) return whole;
  for (let length = Math.min(start.length - 1, bytes.length); length > 0; length -= 1) {
    if (bytes.subarray(-length).equals(start.subarray(0, length))) return bytes.length - length;
  }
  return -1;
}
