import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { headBytes, type LogWindow, rangeToDrop } from "./log-window.ts";

test("a log within its limit loses nothing", () => {
  assert.equal(rangeToDrop({ received: 90, dropped: null }, 100, 100), null);
  assert.equal(rangeToDrop({ received: 90, dropped: null }, 1e12, Infinity), null);
});

test("beyond the limit the head stays, and the tail moves", () => {
  assert.deepEqual(rangeToDrop({ received: 90, dropped: null }, 104, 100), { from: 50, to: 60 });
  assert.equal(rangeToDrop({ received: 104, dropped: { from: 50, to: 60 } }, 110, 100), null);
  assert.deepEqual(rangeToDrop({ received: 110, dropped: { from: 50, to: 60 } }, 111, 100), {
    from: 50,
    to: 67,
  });
});

test("for any pieces the kept bytes fit, and dropped bytes stay dropped", () => {
  const pieces = fc.array(fc.integer({ min: 1, max: 5000 }), { maxLength: 60 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4000 }), pieces, (limit, sizes) => {
      let log: LogWindow = { received: 0, dropped: null };
      for (const size of sizes) {
        const end = log.received + size;
        const dropped = rangeToDrop(log, end, limit) ?? log.dropped;
        if (dropped !== null) {
          assert.equal(dropped.from, headBytes(limit));
          assert.ok(dropped.to >= (log.dropped?.to ?? dropped.from) && dropped.to <= end);
        }
        const kept = dropped === null ? end : end - (dropped.to - dropped.from);
        assert.ok(kept <= limit);
        assert.ok(dropped === null || kept >= limit / 2 - 1, "the head and most of the tail are kept");
        log = { received: end, dropped };
      }
    }),
  );
});
