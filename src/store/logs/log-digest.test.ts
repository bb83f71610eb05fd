import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { addToDigest, digestBoundary, digestedBytes, digestOfNothing, type LogDigest } from "./log-digest.ts";

const nothing: LogDigest = { sha256: digestOfNothing, state: null };

test("the digest covers all bytes, however they are cut into pieces", async () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(pieces, async (cut) => {
      let digest: LogDigest | null = nothing;
      for (const piece of cut) digest = await addToDigest(digest, piece);
      assert.equal(digest?.sha256, createHash("sha256").update(Buffer.concat(cut)).digest("hex"));
    }),
  );
});

test("two logs at once do not mix", async () => {
  const [a, b] = await Promise.all([
    addToDigest(nothing, Buffer.from("a")),
    addToDigest(nothing, Buffer.from("b")),
  ]);
  const both = await Promise.all([addToDigest(a, Buffer.from("a")), addToDigest(b, Buffer.from("b"))]);
  const expected = ["aa", "bb"].map((text) => createHash("sha256").update(text).digest("hex"));
  assert.deepEqual(
    both.map((digest) => digest?.sha256),
    expected,
  );
});

test("a state that this hasher did not save gives no digest", async () => {
  assert.equal(
    await addToDigest({ sha256: digestOfNothing, state: Buffer.alloc(116) }, Buffer.from("x")),
    null,
  );
  assert.equal(await addToDigest(null, Buffer.from("x")), null);
});

test("with secrets, the digest is the same, and the state contains no received bytes", async () => {
  const text = fc.uint8Array({ minLength: 1, maxLength: 300 });
  await fc.assert(
    fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 20 }), async (cut) => {
      let digest: LogDigest | null = nothing;
      let whole: Buffer = Buffer.alloc(0);
      for (const piece of cut) {
        const from: number = digestedBytes(digest as LogDigest);
        assert.equal(from, digestBoundary(whole.length));
        whole = Buffer.concat([whole, piece]);
        digest = await addToDigest(digest, whole.subarray(from), { secret: true });
        assert.equal(digest?.sha256, createHash("sha256").update(whole).digest("hex"));
        for (let at = 0; at + 4 <= whole.length; at++) {
          const some = whole.subarray(at, at + 4);
          if (some.every((byte) => byte !== 0)) assert.ok(!Buffer.from(digest?.state ?? []).includes(some));
        }
      }
    }),
    { numRuns: 30 },
  );
});
