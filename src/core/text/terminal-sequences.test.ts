import assert from "node:assert/strict";
import { test } from "node:test";
import { withoutTerminalSequences } from "./terminal-sequences.ts";

const cases: readonly (readonly [string, string, string])[] = [
  ["colours", "\u001b[1;31merror\u001b[0m: no", "error: no"],
  ["colours with colons, and a private mode", "\u001b[38:5:1ma\u001b[?25l\u001b[>4;1mb", "ab"],
  ["a title, ended in each way", "\u001b]0;t\u0007a\u001b]0;t\u001b\\b\u001b]0;t\u009cc", "abc"],
  ["a link", "\u001b]8;;https://host/\u001b\\text\u001b]8;;\u001b\\", "text"],
  ["a string of a device", "\u001bP1$r0m\u001b\\a", "a"],
  ["8-bit sequences", "\u009b31ma\u009d0;t\u009cb", "ab"],
  ["a choice of characters, and a reset", "\u001b(Ba\u001bcb\u001b7", "ab"],
  ["a title that does not end in its line", "\u001b]0;title\nnext", "0;title\nnext"],
  ["a sequence that is cut off", "a\u001b[12", "a12"],
  ["no sequence", "[1m ]0; \\ a;b", "[1m ]0; \\ a;b"],
];

for (const [name, text, shown] of cases) {
  test(`terminal sequences: ${name}`, () => assert.equal(withoutTerminalSequences(text), shown));
}
