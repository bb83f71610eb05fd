import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteSearch, searchBytesMax } from "./byte-search.ts";
import { fragmentLimits } from "./fragments.ts";
import { Masker } from "./masker.ts";

const star = 0x2a;

/** The definition of masking, written as plainly as possible. */
function maskNaively(text: Uint8Array, patterns: readonly Uint8Array[]): Uint8Array {
  const masked = Uint8Array.from(text);
  for (const pattern of patterns.filter(({ length }) => length > 0)) {
    for (let at = 0; at + pattern.length <= text.length; at++) {
      if (pattern.every((byte, index) => text[at + index] === byte))
        masked.fill(star, at, at + pattern.length);
    }
  }
  const tail = tailLength(text, patterns);
  if (tail >= fragmentLimits.valueBytesMin) masked.fill(star, text.length - tail);
  return masked;
}

/** The longest end of a text that is the beginning of a pattern, but not all of it. */
function tailLength(text: Uint8Array, patterns: readonly Uint8Array[]): number {
  const begins = (length: number) =>
    patterns.some(
      (pattern) =>
        pattern.length > length &&
        pattern.subarray(0, length).every((byte, index) => text[text.length - length + index] === byte),
    );
  for (let length = text.length; length > 0; length--) if (begins(length)) return length;
  return 0;
}

function maskInPieces(pieces: readonly Uint8Array[], patterns: readonly Uint8Array[]) {
  const masker = new Masker(new ByteSearch(patterns));
  const out = pieces.map((piece) => masker.feed(piece));
  out.push(masker.finish());
  return {
    raw: Buffer.concat(out.map(({ raw }) => raw)),
    masked: Buffer.concat(out.map(({ masked }) => masked)),
  };
}

// Few letters, so that patterns overlap each other and themselves.
const bytes = (maxLength: number) =>
  fc.array(fc.constantFrom(97, 98, 42), { maxLength }).map((codes) => Uint8Array.from(codes));

test("property: masking agrees with its definition, however the stream is cut", () => {
  fc.assert(
    fc.property(
      fc.array(bytes(9), { maxLength: 6 }),
      fc.array(bytes(12), { maxLength: 12 }),
      (patterns, pieces) => {
        const text = Buffer.concat(pieces);
        const { raw, masked } = maskInPieces(pieces, patterns);
        assert.deepEqual(raw, text);
        assert.deepEqual(masked, Buffer.from(maskNaively(text, patterns)));
      },
    ),
    { numRuns: 3000 },
  );
});

test("property: only the beginning of a secret is held back", () => {
  fc.assert(
    fc.property(
      fc.array(bytes(9), { maxLength: 6 }),
      fc.array(bytes(12), { maxLength: 6 }),
      (patterns, pieces) => {
        const masker = new Masker(new ByteSearch(patterns));
        for (const piece of pieces) masker.feed(piece);
        assert.equal(masker.heldBytes, tailLength(Buffer.concat(pieces), patterns));
      },
    ),
  );
});

test("property: a masker that starts again at most one pattern earlier continues with the same output", () => {
  // As after a restart: the state is lost, and the sender sends the last bytes again.
  fc.assert(
    fc.property(
      fc.array(bytes(9), { minLength: 1, maxLength: 6 }),
      bytes(40),
      bytes(20),
      (patterns, before, after) => {
        const search = new ByteSearch(patterns);
        const first = new Masker(search);
        const stored = first.feed(before).masked;
        const from = Math.max(0, stored.length - search.longest);
        const second = new Masker(search);
        const text = Buffer.concat([before, after]);
        const again = Buffer.concat([second.feed(text.subarray(from)).masked, second.finish().masked]);
        const whole = Buffer.concat([stored, again.subarray(stored.length - from)]);
        assert.deepEqual(whole, Buffer.from(maskNaively(text, patterns)));
      },
    ),
    { numRuns: 3000 },
  );
});

test("hundreds of patterns and a line of 10 MB that nearly matches all along take linear time", () => {
  const patterns = Array.from({ length: 400 }, (_, at) => Buffer.from(`${"a".repeat(200)}${at}`));
  const line = Buffer.alloc(10_000_000, "a");
  const masker = new Masker(new ByteSearch(patterns));
  let out = 0;
  for (let at = 0; at < line.length; at += 1024 * 1024) {
    out += masker.feed(line.subarray(at, at + 1024 * 1024)).masked.length;
  }
  // The last 200 bytes may still become a secret.
  assert.equal(out, line.length - 200);
  assert.ok(masker.finish().masked.every((byte) => byte === star));
});

test("more patterns than a search can hold are refused", () => {
  assert.throws(() => new ByteSearch([new Uint8Array(searchBytesMax + 1)]), RangeError);
});
