import assert from "node:assert/strict";
import { test } from "node:test";
import { createMessages } from "../chaos/messages.ts";
import { createRandom } from "./random.ts";

const shape = { count: 300, labels: ["red", "blue"], repositories: 3, withExtremes: false };

test("a seed gives the same numbers again, and each purpose its own", () => {
  const draw = (seed: number, purpose: string) => {
    const random = createRandom(seed).fork(purpose);
    return Array.from({ length: 20 }, () => random.integer(1, 1000));
  };
  assert.deepEqual(draw(7, "hosts"), draw(7, "hosts"));
  assert.notDeepEqual(draw(7, "hosts"), draw(8, "hosts"));
  assert.notDeepEqual(draw(7, "hosts"), draw(7, "broker"));
  const long = "a purpose whose name is longer than a number has bits";
  const firsts = Array.from({ length: 20 }, (_, seed) => draw(seed, long)[0]);
  assert.ok(new Set(firsts).size > 10, `the seed decides: ${firsts}`);
  assert.notDeepEqual(draw(7, long), draw(7, `${long}, and another`));
});

test("both bounds occur, no value lies beyond them, and a shuffle keeps all items", () => {
  const random = createRandom(1);
  const seen = new Set(Array.from({ length: 200 }, () => random.integer(3, 6)));
  assert.deepEqual([...seen].sort(), [3, 4, 5, 6]);
  const list = [1, 2, 3, 4, 5, 6, 7, 8];
  const orders = Array.from({ length: 5 }, () => random.shuffle(list));
  for (const order of orders) assert.deepEqual(order.toSorted(), list);
  assert.equal(new Set(orders.map(String)).size, 5);
});

test("messages follow from the seed: each request at least once, and every malformed message is unique", () => {
  const messages = createMessages(createRandom(3), shape);
  assert.deepEqual(createMessages(createRandom(3), shape), messages);
  const bodies = messages.published.map(({ body }) => body.toString("latin1"));
  for (const { request_id: id } of messages.requests) assert.ok(bodies.some((body) => body.includes(id)));
  const malformed = new Set(messages.malformed.map((body) => body.toString("latin1")));
  assert.equal(malformed.size, messages.malformed.length);
  const valid = bodies.filter((body) => !malformed.has(body));
  assert.ok(valid.length > messages.requests.length, "some requests come twice");
  assert.ok(malformed.size > 10);
});
