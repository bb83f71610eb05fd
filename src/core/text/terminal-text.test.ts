import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { assertLinear } from "../../../test/support/linear.ts";
import { TerminalFilter, terminalText } from "./terminal-text.ts";

const esc = "\u001b";

test("colours, line ends and progress bars stay", () => {
  const text = "\u001b[1;38;2;1;2;3mbold\u001b[0m\r50 %\u001b[K\r\n\tü€😀 \u001b[4:3m";
  assert.equal(terminalText(text), text);
});

/** Attacks on the terminal of a person who reads a guest's log, and the text that is shown instead. */
const attacks: [string, string][] = [
  ["\u001b]0;title\u0007", "�]0;title�"],
  ["\u001b]52;c;cm0gLXJmIH4K\u001b\\", "�]52;c;cm0gLXJmIH4K"],
  ["\u001b]8;;http://evil\u001b\\text", "�]8;;http://eviltext"],
  ["\u001bP$q\u001b\\ \u001b_x\u001b^y\u001bXz", "�P$q �_x�^y�Xz"],
  ["a\u001b[2J\u001b[1;1H\u001b[6n\u001b[cb", "ab"],
  ["\u001b[?1049h\u001b[?1000h\u001bc\u001b7\u001b(B", ""],
  ["\u009b6n \u0090 \u009d0;x\u009c", "�6n � �0;x�"],
  ["\b\u0007\u000b\u000c\u007f\u0000\u000e", "�������"],
  ["\u202etxt.exe\u2066\u200f\u2028", "�txt.exe���"],
  ["\u001b\u001b[31m", "�\u001b[31m"],
  [`\u001b[${"1".repeat(500)}m`, `�[${"1".repeat(500)}m`],
  ["\u001b[>4;2m\u001b[?25l\u001b[3K", ""],
];

test("sequences that act on a terminal are removed or shown", () => {
  for (const [text, shown] of attacks) assert.equal(terminalText(text), shown, JSON.stringify(text));
});

test("property: a stream cut anywhere gives the same text, without sequences that act", () => {
  const piece = fc.oneof(
    fc.constantFrom(...attacks.map(([text]) => text), "\u001b", "\u001b[", "[", "31m", "\u009b", "ü"),
    fc.string({ unit: "binary" }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), fc.nat(), (pieces, at) => {
      const text = pieces.join("").toWellFormed();
      const bytes = Buffer.from(text);
      const cut = bytes.length === 0 ? 0 : at % bytes.length;
      const filter = new TerminalFilter();
      const shown = filter.add(bytes.subarray(0, cut)) + filter.add(bytes.subarray(cut)) + filter.end();
      assert.ok([terminalText(text), `${terminalText(text)}${esc}[0m`].includes(shown));
      const left = shown.replaceAll(new RegExp(`${esc}\\[(?:[0-9;:]*m|[0-2]?K)`, "g"), "");
      assert.ok(!/[^\P{Cc}\n\r\t]|\p{Bidi_Control}/u.test(left), JSON.stringify(shown));
    }),
  );
});

test("colours that are still on end with the stream; bytes that are not UTF-8 become U+FFFD", () => {
  const filter = new TerminalFilter();
  assert.equal(filter.add(Buffer.from("\u001b[31mred")) + filter.end(), "\u001b[31mred\u001b[0m");
  assert.equal(filter.add(Buffer.from([0x9b, 0x36, 0x6e, 0xc3])) + filter.end(), "�6n�");
  assert.equal(filter.add(Buffer.from("\u001b[")) + filter.end(), "�[");
});

test("twice as much hostile output costs at most 2.5 times as much", () => {
  for (const unit of [
    "\u001b[",
    "\u001b[1;",
    "\u001b",
    "\u001b    ",
    `\u001b[${"1".repeat(70)}`,
    "\u001b]",
  ]) {
    assertLinear({
      make: (size) => Buffer.from(unit.repeat(size / unit.length)),
      run: (bytes) => new TerminalFilter().add(bytes),
    });
  }
});
