import assert from "node:assert/strict";
import { test } from "node:test";
import { readUtf8 } from "./utf8-text.ts";

test("UTF-8 is read unchanged, including a byte order mark", () => {
  for (const text of ["", "a\nä\n😀", "\ufeffa", "\ufffd"])
    assert.deepEqual(readUtf8(Buffer.from(text)), { text });
});

test("bytes that are not UTF-8 are reported with their line, and never replaced", () => {
  assert.deepEqual(readUtf8(Buffer.from("gr\u00fc\u00df\nb", "latin1")), { wrongLine: 1 });
  assert.deepEqual(readUtf8(Buffer.from("a\nb\nc\u00fc\n\n", "latin1")), { wrongLine: 3 });
  assert.deepEqual(readUtf8(Buffer.from("a\n😀").subarray(0, 4)), { wrongLine: 2 });
});
