import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTerm, parseWindow, shellOrderText } from "./shell-order.ts";

test("an order consists of words that sh reads without quotes, for any input", () => {
  const size = parseWindow({ rows: 50, columns: 120 });
  const order = { number: 7, term: parseTerm("xterm-256color"), mode: "terminal", ...size } as const;
  assert.equal(shellOrderText(order), "7 xterm-256color 50 120 terminal");
  assert.equal(parseTerm(""), "dumb");
  for (const term of ["a b", "$(reboot)", "-x", "x;y", 'x"y', "x\n", "x".repeat(65)]) {
    assert.throws(() => parseTerm(term), { code: "usage" }, term);
  }
});

test("an unknown window has the usual size, and an impossible size is refused", () => {
  assert.deepEqual(parseWindow(undefined), { rows: 24, columns: 80 });
  assert.deepEqual(parseWindow({ rows: 0, columns: 132 }), { rows: 24, columns: 132 });
  assert.throws(() => parseWindow({ rows: 1001, columns: 80 }), { code: "usage" });
});
