import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { inUnixForm } from "./script-form.ts";

test("a script written on Windows becomes one that a shell can run", () => {
  assert.equal(inUnixForm("#!/bin/bash\r\necho one\r\n"), "#!/bin/bash\necho one\n");
  assert.equal(inUnixForm("\ufeff#!/bin/sh\necho one\n"), "#!/bin/sh\necho one\n");
  assert.equal(inUnixForm("\ufeffecho one\r\n\r\necho two"), "echo one\n\necho two");
  assert.equal(inUnixForm("echo one\r"), "echo one");
});

test("intended carriage returns of a Unix script stay", () => {
  for (const script of ["cat <<END\na\r\nEND\n", "printf 'a\rb'\n", "echo \ufeff\n", "", "\n\r\n"]) {
    assert.equal(inUnixForm(script), script);
  }
});

test("a script in that form is not changed again", () => {
  const pieces = fc.array(fc.constantFrom("\ufeff", "\r", "\n", "a"), { maxLength: 12 });
  fc.assert(
    fc.property(pieces, (given) => {
      const once = inUnixForm(given.join(""));
      assert.equal(inUnixForm(once), once);
    }),
  );
});
