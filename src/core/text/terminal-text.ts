import { sequenceParts } from "./terminal-sequences.ts";

const { controlEnd, escapeEnd, intermediate, opensControl, opensString, parameter, shiftsOne } =
  sequenceParts;

const esc = "\u001b";

/** Maximum numbers of a sequence's parameter characters, and of characters between these and its last one. */
const parameters = `${parameter}{0,64}`;
const between = `${intermediate}{0,4}`;

/** The end of a shorter escape sequence that is complete. */
const ownEnd = `(?!${opensControl}|${opensString}|${shiftsOne})${escapeEnd}`;

/**
 * The characters that a terminal acts on, each part with a limit, so that the work is linear in the text: control
 * sequences; complete shorter escape sequences (those that open a string are not, and count as their first character);
 * all other control characters, and those that change the writing direction.
 */
const actedOn = new RegExp(
  `${esc}${opensControl}${parameters}${between}${controlEnd}|${esc}${between}${ownEnd}|[\\p{Cc}\\p{Bidi_Control}\\u2028\\u2029]`,
  "gu",
);

/** Colours, styles, and clearing the rest of the line as progress bars do. */
const harmless = new RegExp(`^(?:${esc}\\[[0-9;:]*m|${esc}\\[[0-2]?K|[\\n\\r\\t])$`, "u");

/** The beginning of a sequence whose end has not arrived. */
const unfinished = new RegExp(`${esc}(?:${opensControl}${parameters}${between}|${between})$`, "u");

/** Greatest length of an unfinished sequence. */
const unfinishedMax = 70;

/** A stream is filtered in pieces of this length, so that the cost of each has a limit. */
const pieceBytes = 16_384;

/**
 * Makes untrusted text safe for a terminal. Colours stay; sequences that would move the cursor, set a title, write to
 * the clipboard, or make the terminal answer are removed or shown as a replacement character. The text of a link or
 * title stays visible.
 */
export function terminalText(text: string): string {
  return text.replace(actedOn, (found) => {
    if (harmless.test(found)) return found;
    return found.length > 1 ? "" : "\ufffd";
  });
}

/** Makes a stream of bytes safe for a terminal, in pieces that may end anywhere. */
export class TerminalFilter {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #held = "";
  #isStyled = false;

  /** Returns the text that can be shown so far. Bytes that are not UTF-8 become U+FFFD. */
  add(bytes: Uint8Array): string {
    const shown: string[] = [];
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const piece = bytes.subarray(at, at + pieceBytes);
      shown.push(this.#show(this.#held + this.#decoder.decode(piece, { stream: true })));
    }
    return shown.join("");
  }

  /** Returns the rest, and ends colours that are still on. Another stream may follow. */
  end(): string {
    const rest = terminalText(this.#held + this.#decoder.decode());
    this.#held = "";
    const reset = this.#isStyled ? `${esc}[0m` : "";
    this.#isStyled = false;
    return rest + reset;
  }

  #show(text: string): string {
    const start = Math.max(0, text.length - unfinishedMax);
    const at = unfinished.exec(text.slice(start))?.index;
    this.#held = at === undefined ? "" : text.slice(start + at);
    const shown = terminalText(at === undefined ? text : text.slice(0, start + at));
    this.#isStyled ||= shown.includes(esc);
    return shown;
  }
}
