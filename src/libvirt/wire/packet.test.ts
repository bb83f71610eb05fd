import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Packet } from "./packet.ts";
import { encodePacket, MAX_PACKET_BYTES, PacketDecoder } from "./packet.ts";
import { encode, uint32, XdrError } from "./xdr.ts";

const anyUint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
// Objects with a null prototype would never equal the decoded objects.
const plain = { noNullPrototype: true };
const anyHeader = fc.record(
  {
    program: anyUint32,
    version: anyUint32,
    procedure: fc.integer(),
    type: fc.integer(),
    serial: anyUint32,
    status: fc.integer(),
  },
  plain,
);
const anyPacket: fc.Arbitrary<Packet> = fc.record(
  { header: anyHeader, body: fc.uint8Array({ maxLength: 50 }) },
  plain,
);

function lengthWord(length: number): Uint8Array {
  return encode(uint32, length);
}

test("packets are decoded unchanged, however the bytes are split", () => {
  const property = fc.property(
    fc.array(anyPacket, { maxLength: 5 }),
    fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
    (packets, sizes) => {
      const stream = Buffer.concat(packets.map(({ header, body }) => encodePacket(header, body)));
      const decoder = new PacketDecoder();
      const received: Packet[] = [];
      for (let offset = 0, turn = 0; offset < stream.length; turn += 1) {
        const size = sizes[turn % sizes.length] ?? 1;
        received.push(...decoder.push(stream.subarray(offset, offset + size)));
        offset += size;
      }
      assert.deepEqual(
        received.map(({ header, body }) => ({ header, body: Uint8Array.from(body) })),
        packets,
      );
    },
  );
  fc.assert(property);
});

test("an impossible packet length is rejected as soon as it is read", () => {
  for (const length of [0, 27, MAX_PACKET_BYTES + 1, 2 ** 32 - 1]) {
    assert.throws(() => new PacketDecoder().push(lengthWord(length)), XdrError, String(length));
  }
  assert.deepEqual(new PacketDecoder().push(lengthWord(28)), []);
  assert.deepEqual(new PacketDecoder().push(lengthWord(MAX_PACKET_BYTES)), []);
});

test("a packet above the limit is not sent", () => {
  const header = { program: 1, version: 1, procedure: 1, type: 0, serial: 1, status: 0 };
  assert.throws(() => encodePacket(header, new Uint8Array(MAX_PACKET_BYTES)), XdrError);
});
