import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { shellBeginMark, shellEndMark } from "../../core/job/shell-order.ts";
import { ShellMarkers } from "./shell-markers.ts";

function filter(number: number, pieces: readonly Uint8Array[]): { shown: string; exitCode: number | null } {
  const marks = new ShellMarkers(number);
  let shown = "";
  for (const piece of pieces) {
    const found = marks.push(piece);
    shown += found.shown.toString("latin1");
    if (found.exitCode !== null) return { shown, exitCode: found.exitCode };
  }
  return { shown: shown + marks.flush().toString("latin1"), exitCode: null };
}

test("the mark is found in any pieces of the bytes, and removed from the output", () => {
  const text = `${shellBeginMark(7)}one${shellEndMark(3, 1)}two\u001b_solstice-\u001b[0m${shellEndMark(7, 42)}`;
  const expected = { shown: "onetwo\u001b_solstice-\u001b[0m", exitCode: 42 };
  fc.assert(
    fc.property(fc.array(fc.nat({ max: text.length }), { maxLength: 20 }), (cuts) => {
      const places = [0, ...cuts, text.length].sort((a, b) => a - b);
      const pieces = places
        .slice(1)
        .map((end, index) => Buffer.from(text.slice(places[index], end), "latin1"));
      assert.deepEqual(filter(7, pieces), expected);
    }),
  );
});

test("output without a mark is unchanged, byte by byte", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), (pieces) => {
      const whole = Buffer.concat(pieces).toString("latin1");
      assert.deepEqual(filter(1, pieces), { shown: whole, exitCode: null });
    }),
  );
});

test("an escape at the end, and bytes that resemble a mark, are shown", () => {
  const pieces = [`x\u001b`, `_solstice-shell 12`, ` ended z${"y".repeat(60)}`].map((text) =>
    Buffer.from(text),
  );
  assert.deepEqual(filter(12, pieces), { shown: Buffer.concat(pieces).toString("latin1"), exitCode: null });
  assert.deepEqual(filter(1, [Buffer.from("$ \u001b")]), { shown: "$ \u001b", exitCode: null });
});

test("a shell is ready after its own mark, not after the mark of another", () => {
  const marks = new ShellMarkers(7);
  assert.equal(marks.push(Buffer.from(`x${shellBeginMark(6)}y`)).hasBegun, false);
  const { hasBegun, shown, exitCode } = marks.push(Buffer.from(`a${shellBeginMark(7)}b`));
  assert.deepEqual([hasBegun, shown.toString(), exitCode], [true, "ab", null]);
});
