import { shellEndMark } from "../../core/job/shell-order.ts";

const esc = "\u001b";
const marker = new RegExp(`^${esc}_solstice-shell (\\d{1,10}) (?:begun|ended (\\d{1,3}))${esc}\\\\`);
const longestMark = shellEndMark(2 ** 32 - 1, 255).length;
const start = Buffer.from("\u001b_solstice-shell ");

/** What a piece of a shell's output holds: what is to be shown, and what the shell tells of itself. */
export interface ShellOutput {
  readonly shown: Buffer;
  /** Whether it has just become ready for input. */
  readonly hasBegun: boolean;
  /** Not null where it has ended; nothing after that is its own. */
  readonly exitCode: number | null;
}

/**
 * Finds the marks at the beginning and the end of a shell's output, also in pieces, and takes them out. The marks of other numbers are taken out
 * as well: an earlier shell's end may come late. A guest can fake them; it then ends its own shell.
 */
export class ShellMarkers {
  readonly #number: number;
  #kept = Buffer.alloc(0);

  constructor(number: number) {
    this.#number = number;
  }

  /** Takes the next piece. What may be the beginning of a mark is kept back until more comes. */
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
        // It looked like one. Its first byte is shown, and the rest looked at again.
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

  /** What was kept back, once nothing more comes. */
  flush(): Buffer {
    return this.#kept;
  }
}

/** Where a mark, or the beginning of one at the end of `bytes`, begins; -1: nowhere. */
function beginsAt(bytes: Buffer): number {
  const whole = bytes.indexOf(start);
  if (whole !== -1) return whole;
  for (let length = Math.min(start.length - 1, bytes.length); length > 0; length -= 1) {
    if (bytes.subarray(-length).equals(start.subarray(0, length))) return bytes.length - length;
  }
  return -1;
}
