import assert from "node:assert/strict";
import { test } from "node:test";
import { EscapeFilter } from "./escape.ts";

function type(...keys: string[]): [sent: string, leaves: boolean] {
  const filter = new EscapeFilter();
  let sent = "";
  for (const key of keys) {
    const { bytes, leaves } = filter.push(Buffer.from(key, "latin1"));
    sent += bytes.toString("latin1");
    if (leaves) return [sent, true];
  }
  return [sent, false];
}

test("~. leaves at the beginning of a line only", () => {
  assert.deepEqual(type("~."), ["", true]);
  assert.deepEqual(type("~", "."), ["", true]);
  assert.deepEqual(type("ls\r", "~", ".", "never"), ["ls\r", true]);
  assert.deepEqual(type("ls ~.\r"), ["ls ~.\r", false]);
  assert.deepEqual(type("x\n~.y"), ["x\n", true]);
});

test("~~ sends one ~, and a ~ before any other character is sent unchanged", () => {
  assert.deepEqual(type("~~."), ["~.", false]);
  assert.deepEqual(type("~", "/bin/x\r"), ["~/bin/x\r", false]);
  assert.deepEqual(type("\u0000\u00ff\r\r~x"), ["\u0000\u00ff\r\r~x", false]);
});
