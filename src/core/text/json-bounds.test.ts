import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { assertLinear } from "../../../test/support/linear.ts";
import { jsonProblem } from "./json-bounds.ts";

const bounds = { depth: 3, marks: 10 };
const problem = (text: string, given = bounds) => jsonProblem(Buffer.from(text), given);

test("depth, values and numbers in quotes have limits; texts do not", () => {
  for (const text of [
    "",
    "{}",
    "[[[]]]",
    '{"a":[{"b":1}]}',
    '"[[[[{{{{"',
    '["\\"[[[["]',
    '["\\\\",[[]]]',
    "1e9",
    '"',
  ])
    assert.equal(problem(text), null, text);
  assert.match(problem("[[[[") ?? "", /more than 3 nested lists and maps/);
  assert.match(problem('{"a":[{"b":{}}]}') ?? "", /more than 3 nested lists/);
  assert.match(problem('["\\\\",[[[]]]]') ?? "", /more than 3 nested lists/);
  assert.match(problem(`[${"1,".repeat(11)}1]`) ?? "", /more than 10 values/);
  assert.match(problem(`{"a":"${"9".repeat(1001)}"}`) ?? "", /more than 1000 digits/);
  assert.match(problem(`"-${"9".repeat(1001)}"`) ?? "", /more than 1000 digits/);
  assert.equal(problem(`"${"9".repeat(1001)}x"`), null);
});

test("property: a document within the limits is accepted", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      assert.equal(problem(text, { depth: 1000, marks: 1_000_000 }), null);
    }),
  );
});

test("the cost of the check is linear in the document", () => {
  for (const unit of ['"', '\\"', '"\\"', "[]", '"a\\\\",', " ", '"1", ']) {
    assertLinear({
      make: (size) => Buffer.from(`"${unit.repeat(size / unit.length)}`),
      run: (bytes) => jsonProblem(bytes, { depth: 10, marks: 1e9 }),
    });
  }
});
