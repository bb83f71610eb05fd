import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ownershipElement, parseOwnership } from "./ownership.ts";
import { buildXml } from "./xml.ts";

test("a written element is read back", () => {
  const id = fc.stringMatching(/^[0-9a-z]{4,40}$/);
  fc.assert(
    fc.property(fc.uuid(), id, fc.integer({ min: 1, max: 1000 }), (owner, jobId, attempt) => {
      const ownership = { owner, jobId, attempt };
      assert.deepEqual(parseOwnership(buildXml(ownershipElement(ownership))), ownership);
    }),
  );
});

test("the element is also read in libvirt's own format", () => {
  const printed = `<solstice:guest xmlns:solstice='https://solstice-ci.dev/xmlns/guest/1' owner='o' job='j' attempt='3'/>`;
  assert.deepEqual(parseOwnership(printed), { owner: "o", jobId: "j", attempt: 3 });
});

test("any other text has no owner", () => {
  for (const xml of [
    "",
    "<guest/>",
    "<guest owner='o' job='j'/>",
    "<guest owner='o' job='j' attempt='0'/>",
    "<guest owner='o' job='j' attempt='1e1'/>",
    "<guest owner='o' job='j' attempt='1'",
    "<other owner='o' job='j' attempt='1'/>",
  ]) {
    assert.equal(parseOwnership(xml), null, xml);
  }
});
