import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { AsyncMessage } from "rabbitmq-client";
import { deadLetterEnvelope } from "../intake/dead-letter.ts";
import { frameBytesMax, propertiesBytes } from "./frame-size.ts";

/** The client library's own encoder, as the reference for the sizes. */
const codec = new URL("../../../node_modules/rabbitmq-client/lib/codec.js", import.meta.url).href;
const { encodeFrame, FrameType } = await import(codec);

const text = fc.string({ unit: "binary", maxLength: 40 }).map((value) => value.toWellFormed());
const headers = fc.dictionary(
  text,
  fc.oneof(
    text,
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(text),
    fc.dictionary(text, fc.double({ min: -1e9, max: 1e9, noNaN: true })),
  ),
);

function encodedBytes(fields: object): number {
  return encodeFrame({ type: FrameType.HEADER, channelId: 1, bodySize: 1, fields }, Infinity).length;
}

test("property: a message's properties never exceed the computed size, and for texts are only a little smaller", () => {
  fc.assert(
    fc.property(headers, (given) => {
      const fields = { headers: given, messageId: "a".repeat(36), contentType: "application/json" };
      assert.ok(encodedBytes(fields) <= propertiesBytes({ exchange: "e", routingKey: "r", ...fields }));
    }),
  );
  const long = { headers: { a: "x".repeat(5000) } };
  assert.ok(propertiesBytes(long) - encodedBytes(long) < 100);
});

test("property: a rejected message's copy fits in one frame, keeps the headers that fit, and names the others", () => {
  fc.assert(
    fc.property(
      fc.dictionary(
        text,
        fc.oneof(
          text,
          fc.nat({ max: 9000 }).map((length) => "ä".repeat(length)),
        ),
      ),
      (given) => {
        const message = { exchange: "e", routingKey: "r", headers: given, messageId: "m" } as AsyncMessage;
        const outcome = { kind: "rejected", code: "usage", message: "😀".repeat(1000) } as const;
        const copy = deadLetterEnvelope("dead", { message, outcome, at: new Date(0) });
        assert.ok(encodedBytes(copy) - 8 <= frameBytesMax);
        assert.equal(copy.headers?.["x-solstice-reason"], "usage");
        const lost = Object.keys(given).filter(
          (name) => !Object.hasOwn(copy.headers ?? {}, name) && !["CC", "BCC"].includes(name),
        );
        const named = String(copy.headers?.["x-solstice-headers-left-out"] ?? "0:");
        assert.equal(Number.parseInt(named, 10), lost.length);
      },
    ),
  );
});
