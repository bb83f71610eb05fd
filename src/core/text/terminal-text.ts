import { sequenceParts } from "./terminal-sequences.ts";

const { controlEnd, escapeEnd, intermediate, opensControl, opensString, parameter, shiftsOne } =
  sequenceParts;

const esc = "\u001b";

/** Most characters of a sequence's parameters, and of what may stand between them and its last character. */
const parameters = `${parameter}{0,64}`;
const between = `${intermediate}{0,4}`;

/** The end of a shorter escape sequence that ends in itself. */
const ownEnd = `(?!${opensControl}|${opensString}|${shiftsOne})${escapeEnd}`;

/**
 * What a terminal acts on, each bounded, so that the work grows with the text alone: control sequences; shorter escape
 * sequences that end in themselves (those that open a string do not, and count as their first character); all other control
 * characters, and those that turn the writing direction.
 */
const actedOn = new RegExp(
  `${esc}${opensControl}${parameters}${between}${controlEnd}|${esc}${between}${ownEnd}|[\\p{Cc}\\p{Bidi_Control}\\u2028\\u2029]`,
  "gu",
);

/** Colours and styles, and clearing the rest of the line as progress bars do. */
const harmless = new RegExp(`^(?:${esc}\\[[0-9;:]*m|${esc}\\[[0-2]?K|[\\n\\r\\t])$`, "u");

/** The beginning of a sequence whose end has not come. */
const unfinished = new RegExp(`${esc}(?:${opensControl}${parameters}${between}|${between})$`, "u");

/** No unfinished sequence is longer. */
const unfinishedMax = 70;

/** A stream is looked at in pieces of this length, so that each costs at most the same. */
const pieceBytes = 16_384;

/**
 * Text of somebody else for a terminal. Colours stay; what would move the cursor, set a title, write to the clipboard, or make
 * the terminal answer is taken out or shown as a sign. The text of a link or title stays visible.
 */
export function terminalText(text: string): string {
  return text.replace(actedOn, (found) => {
    if (harmless.test(found)) return found;
    return found.length > 1 ? "" : "\ufffd";
  });
}

/** Makes a stream of bytes harmless for a terminal, in pieces that may end anywhere. */
export class TerminalFilter {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #held = "";
  #isStyled = false;

  /** What can be shown of all that came so far. Bytes that are no UTF-8 become U+FFFD. */
  add(bytes: Uint8Array): string {
    const shown: string[] = [];
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const piece = bytes.subarray(at, at + pieceBytes);
      shown.push(this.#show(this.#held + this.#decoder.decode(piece, { stream: true })));
    }
    return shown.join("");
  }

  /** The rest, and the end of colours that were not ended. Another stream may follow. */
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
