import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LibvirtConnectionError } from "../errors.ts";
import { procedures } from "../wire/procedures.ts";
import type { CallTarget } from "./call-queue.ts";
import { CallQueue, MAX_CALLS_IN_FLIGHT, MAX_CALLS_WAITING } from "./call-queue.ts";

const LONG_SECONDS = 60;
const SHORT_SECONDS = 0.02;

interface SentCall {
  name: string;
  answer(): void;
}

/** A connection that answers when the test decides. */
class FakeTarget implements CallTarget {
  readonly sent: SentCall[] = [];
  readonly #closed = Promise.withResolvers<LibvirtConnectionError>();
  readonly closed = this.#closed.promise;

  call<Args, Reply>(_procedure: unknown, args: Args): Promise<Reply> {
    const { promise, resolve } = Promise.withResolvers<Reply>();
    const { name } = args as { name: string };
    this.sent.push({ name, answer: () => resolve({ domain: { name, uuid: "", id: 1 } } as Reply) });
    return promise;
  }

  close(error: LibvirtConnectionError): void {
    this.#closed.resolve(error);
  }

  get names(): string[] {
    return this.sent.map((call) => call.name);
  }
}

async function lookup(queue: CallQueue, name: string): Promise<string> {
  const { domain } = await queue.call(procedures.domainLookupByName, { name });
  return domain.name;
}

function lookUpMany(queue: CallQueue, count: number): Promise<string>[] {
  return Array.from({ length: count }, (_, index) => lookup(queue, String(index)));
}

describe("the queue of one connection", () => {
  test("sends four calls at once, and the next in order as answers come", async () => {
    const queue = new CallQueue(LONG_SECONDS);
    const target = new FakeTarget();
    queue.attach(target);
    const calls = lookUpMany(queue, 6);
    assert.deepEqual(target.names, ["0", "1", "2", "3"]);
    target.sent[2]?.answer();
    assert.equal(await calls[2], "2");
    assert.deepEqual(target.names, ["0", "1", "2", "3", "4"]);
    for (let next = 0; next < target.sent.length; next += 1) {
      target.sent[next]?.answer();
      await Promise.all(calls.slice(0, Math.min(next + 1, 2)));
    }
    assert.deepEqual(await Promise.all(calls), ["0", "1", "2", "3", "4", "5"]);
  });

  test("keeps calls while there is no connection, and sends them over the next one", async () => {
    const queue = new CallQueue(LONG_SECONDS);
    const early = lookup(queue, "early");
    const target = new FakeTarget();
    queue.attach(target);
    target.sent[0]?.answer();
    assert.equal(await early, "early");
  });

  test("a new connection starts without in-flight calls", async () => {
    const queue = new CallQueue(LONG_SECONDS);
    const first = new FakeTarget();
    queue.attach(first);
    lookUpMany(queue, MAX_CALLS_IN_FLIGHT);
    queue.detach();
    const next = new FakeTarget();
    queue.attach(next);
    lookUpMany(queue, MAX_CALLS_IN_FLIGHT);
    assert.equal(next.sent.length, MAX_CALLS_IN_FLIGHT);
    for (const call of [...first.sent, ...next.sent]) call.answer();
  });

  test("a call that cannot be sent in time is rejected, and is never sent", async () => {
    const queue = new CallQueue(SHORT_SECONDS);
    await assert.rejects(lookup(queue, "late"), { reason: "timeout", mayHaveRun: false });
    const target = new FakeTarget();
    queue.attach(target);
    assert.deepEqual(target.names, []);
  });

  test("a call that times out counts as in flight until its late answer", async () => {
    const queue = new CallQueue(SHORT_SECONDS);
    const target = new FakeTarget();
    queue.attach(target);
    await assert.rejects(lookup(queue, "slow"), { reason: "timeout", mayHaveRun: true });
    const calls = lookUpMany(queue, MAX_CALLS_IN_FLIGHT);
    assert.equal(target.sent.length, MAX_CALLS_IN_FLIGHT);
    for (const call of target.sent) call.answer();
    await Promise.all(calls.slice(0, MAX_CALLS_IN_FLIGHT - 1));
    target.sent.at(-1)?.answer();
    await Promise.all(calls);
  });

  test("closes a connection when all its in-flight calls have timed out", async () => {
    const queue = new CallQueue(SHORT_SECONDS);
    const target = new FakeTarget();
    queue.attach(target);
    const calls = lookUpMany(queue, MAX_CALLS_IN_FLIGHT);
    await Promise.all(calls.map((call) => assert.rejects(call, { reason: "timeout" })));
    assert.equal((await target.closed).reason, "lost");
  });

  test("refuses calls beyond its limit", async () => {
    const queue = new CallQueue(LONG_SECONDS);
    const waiting = lookUpMany(queue, MAX_CALLS_WAITING);
    await assert.rejects(lookup(queue, "one more"), { reason: "overloaded" });
    queue.close(new LibvirtConnectionError("closed", "Closed."));
    for (const call of waiting) await assert.rejects(call, { reason: "closed" });
    await assert.rejects(lookup(queue, "after"), { reason: "closed" });
  });
});
