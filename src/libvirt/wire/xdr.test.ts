import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { procedures } from "./procedures.ts";
import { domainCodec, errorCodec, uuidCodec } from "./types.ts";
import type { Codec } from "./xdr.ts";
import * as xdr from "./xdr.ts";

const text = fc.string({ unit: "grapheme" });
const anyInt32 = fc.integer();
const anyUint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
// Objects with a null prototype would never equal the decoded objects.
const plain = { noNullPrototype: true };
const anyDomain = fc.record({ name: text, uuid: fc.uuid(), id: anyInt32 }, plain);
const anyNetwork = fc.record({ name: text, uuid: fc.uuid() }, plain);
const maybe = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined });

const anyError = fc.record(
  {
    code: anyInt32,
    domain: anyInt32,
    message: maybe(text),
    level: anyInt32,
    subjectDomain: maybe(anyDomain),
    string1: maybe(text),
    string2: maybe(text),
    string3: maybe(text),
    integer1: anyInt32,
    integer2: anyInt32,
    subjectNetwork: maybe(anyNetwork),
  },
  plain,
);

function roundTrips<T>(name: string, codec: Codec<T>, values: fc.Arbitrary<T>): void {
  test(`${name} reads back what it wrote, in a multiple of 4 bytes`, () => {
    fc.assert(
      fc.property(values, (value) => {
        const bytes = xdr.encode(codec, value);
        assert.equal(bytes.length % 4, 0);
        assert.deepEqual(xdr.decode(codec, bytes), value);
      }),
    );
  });
}

describe("round trips", () => {
  roundTrips("int32", xdr.int32, anyInt32);
  roundTrips("uint32", xdr.uint32, anyUint32);
  roundTrips("int64", xdr.int64, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));
  roundTrips("uint64", xdr.uint64, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
  roundTrips("boolean", xdr.boolean, fc.boolean());
  roundTrips("string", xdr.string, text);
  roundTrips("optional string", xdr.optional(xdr.string), maybe(text));
  roundTrips("uuid", uuidCodec, fc.uuid());
  roundTrips("list of domains", xdr.array(domainCodec, 100), fc.array(anyDomain, { maxLength: 100 }));
  roundTrips("error", errorCodec, anyError);
});

test("values are encoded as in RFC 4506", () => {
  const hex = <T>(codec: Codec<T>, value: T) => Buffer.from(xdr.encode(codec, value)).toString("hex");
  assert.equal(hex(xdr.int32, -2), "fffffffe");
  assert.equal(hex(xdr.uint64, 1n), "0000000000000001");
  assert.equal(hex(xdr.string, "abcde"), "000000056162636465000000");
  assert.equal(hex(xdr.optional(xdr.int32), undefined), "00000000");
  assert.equal(hex(xdr.optional(xdr.int32), 7), "0000000100000007");
  assert.equal(hex(xdr.array(xdr.int32, 3), [1, 2]), "000000020000000100000002");
});

test("a truncated message is an XdrError, never a wrong value", () => {
  fc.assert(
    fc.property(anyError, fc.nat(), (error, random) => {
      const bytes = xdr.encode(errorCodec, error);
      const cut = bytes.subarray(0, random % bytes.length);
      assert.throws(() => xdr.decode(errorCodec, cut), xdr.XdrError);
    }),
  );
});

test("any bytes decode or fail as XdrError, and promptly", () => {
  const codecs: Codec<unknown>[] = [
    errorCodec,
    procedures.listAllDomains.reply,
    procedures.networkDhcpLeases.reply,
  ];
  fc.assert(
    fc.property(fc.constantFrom(...codecs), fc.uint8Array({ maxLength: 400 }), (codec, bytes) => {
      try {
        xdr.decode(codec, bytes);
      } catch (error) {
        assert.ok(error instanceof xdr.XdrError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test("lengths above the limits are refused before anything is allocated", () => {
  const longString = xdr.encode(xdr.uint32, xdr.MAX_STRING_BYTES + 1);
  assert.throws(() => xdr.decode(xdr.string, longString), /longer than the limit/);
  const longList = xdr.encode(xdr.uint32, 4_000_000_000);
  assert.throws(() => xdr.decode(xdr.array(xdr.int32, 10), longList), /longer than the limit/);
  assert.throws(() => xdr.encode(xdr.string, "x".repeat(xdr.MAX_STRING_BYTES + 1)), /longer than the limit/);
  assert.throws(() => xdr.encode(xdr.array(xdr.int32, 1), [1, 2]), /longer than the limit/);
});

test("malformed values are refused", () => {
  const bytes = (hex: string) => Buffer.from(hex, "hex");
  assert.throws(() => xdr.decode(xdr.int32, bytes("0000000100000002")), /left over/);
  assert.throws(() => xdr.decode(xdr.optional(xdr.int32), bytes("0000000200000002")), /neither/);
  assert.throws(() => xdr.decode(xdr.string, bytes("0000000161ff0000")), /padding/);
  assert.equal(xdr.decode(xdr.string, bytes("0000000161000000")), "a");
  assert.equal(xdr.decode(xdr.string, bytes("00000001ff000000")), "\ufffd");
});

test("numbers that do not fit are refused", () => {
  assert.throws(() => xdr.encode(xdr.int32, 2 ** 31), xdr.XdrError);
  assert.throws(() => xdr.encode(xdr.uint32, -1), xdr.XdrError);
  assert.throws(() => xdr.encode(xdr.uint32, 1.5), xdr.XdrError);
  assert.throws(() => xdr.encode(xdr.uint64, -1n), xdr.XdrError);
  assert.throws(() => xdr.encode(xdr.int64, 2n ** 63n), xdr.XdrError);
  assert.throws(() => xdr.encode(uuidCodec, "not-a-uuid"), xdr.XdrError);
});
