import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTerm, parseWindow, shellOrderText } from "./shell-order.ts";

test("an order is words that a sh reads without quotes, whatever a caller says", () => {
  const size = parseWindow({ rows: 50, columns: 120 });
  const order = { number: 7, term: parseTerm("xterm-256color"), mode: "terminal", ...size } as const;
  assert.equal(shellOrderText(order), "7 xterm-256color 50 120 terminal");
  assert.equal(parseTerm(""), "dumb");
  for (const term of ["a b", "$(reboot)", "-x", "x;y", 'x"y', "x\n", "x".repeat(65)]) {
    assert.throws(() => parseTerm(term), { code: "usage" }, term);
  }
});

test("a window that is not known is the usual one, and none is larger than any screen", () => {
  assert.deepEqual(parseWindow(undefined), { rows: 24, columns: 80 });
  assert.deepEqual(parseWindow({ rows: 0, columns: 132 }), { rows: 24, columns: 132 });
  assert.throws(() => parseWindow({ rows: 1001, columns: 80 }), { code: "usage" });
});
