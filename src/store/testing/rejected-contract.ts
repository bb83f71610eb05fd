import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  listRejectedMessages,
  type Rejection,
  recordRejected,
  rejectedLimits,
} from "../deliveries/rejected.ts";
import { type CreateDatabase, openForTest } from "./test-database.ts";

function rejection(body: string | Buffer, given: Partial<Rejection> = {}): Rejection {
  const bytes = Buffer.from(body);
  return {
    body: bytes,
    bodyBytes: bytes.length,
    redelivered: false,
    reason: "usage",
    message: "It is not JSON.",
    requestId: null,
    hostId: "host-a",
    at: 1000,
    ...given,
  };
}

/** Messages that could not become jobs. */
export function rejectedContract(create: CreateDatabase): void {
  describe("rejected messages", () => {
    test("a repeated body counts, and is the latest; a redelivery is not a new message", async (context) => {
      const store = await openForTest(context, create);
      await recordRejected(store, rejection("one", { requestId: "r1" }));
      await recordRejected(store, rejection("two", { at: 2000 }));
      await recordRejected(
        store,
        rejection("one", { at: 3000, reason: "unknown_label", message: "No beos." }),
      );
      await recordRejected(store, rejection("two", { at: 2500, redelivered: true }));
      const listed = await listRejectedMessages(store, 10);
      assert.deepEqual(
        listed.map(({ body, times, receivedAt }) => [Buffer.from(body).toString(), times, receivedAt]),
        [
          ["one", 2, 3000],
          ["two", 1, 2500],
        ],
      );
      const [first] = listed;
      assert.equal(first?.reason, "unknown_label");
      assert.equal(first?.requestId, "r1");
      assert.match(first?.id ?? "", /^[0-9a-f]{64}$/);
      assert.equal((await listRejectedMessages(store, 1)).length, 1);
      const withoutSome = await listRejectedMessages(store, 10, 5);
      assert.deepEqual(
        withoutSome.map(({ body }) => Buffer.from(body).toString()),
        ["one", ""],
      );
    });

    test("the beginning of a long body is kept, and any text is storable", async (context) => {
      const store = await openForTest(context, create);
      const body = Buffer.alloc(rejectedLimits.bodyBytes + 5, 7);
      const message = `a NUL \0, half a character \ud800, and ${"x".repeat(10_000)}`;
      await recordRejected(store, rejection(body, { bodyBytes: 99_000_000, message, requestId: "\0" }));
      const [kept] = await listRejectedMessages(store, 10);
      assert.equal(kept?.body.byteLength, rejectedLimits.bodyBytes);
      assert.equal(kept?.bodyBytes, 99_000_000);
      assert.equal(kept?.message.length, rejectedLimits.messageChars);
      assert.equal(kept?.requestId, "\ufffd");
    });

    test("the number of messages has a limit; the oldest are removed", async (context) => {
      const store = await openForTest(context, create);
      const count = rejectedLimits.rows + 20;
      const all = Array.from({ length: count }, (_, at) => recordRejected(store, rejection(`${at}`, { at })));
      await Promise.all(all);
      // Concurrent writes may have left a few too many; the next write removes them.
      await recordRejected(store, rejection("last", { at: count }));
      const listed = await listRejectedMessages(store, 1000);
      const { rows } = await store.db
        .selectFrom("rejected_messages")
        .select((expression) => expression.fn.countAll<number>().as("rows"))
        .executeTakeFirstOrThrow();
      assert.equal(Number(rows), rejectedLimits.rows);
      assert.equal(listed.at(-1)?.receivedAt, count + 1 - rejectedLimits.rows);
    });
  });
}
