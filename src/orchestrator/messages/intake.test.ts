import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import { until } from "../../../test/support/until.ts";
import { insertTestJob, MemoryLog, openTestStore } from "../../api/testing/fixture.ts";
import { type ErrorCode, SolsticeError } from "../../core/errors.ts";
import type { Delivery, DeliveryHandler, DeliveryOutcome } from "../../queue/broker.ts";
import { listRejectedMessages } from "../../store/deliveries/rejected.ts";
import type { Admission } from "../accept/admission.ts";
import { createQueueCapacity } from "../accept/queue-capacity.ts";
import type { Context } from "../context.ts";
import { startIntake } from "./intake.ts";
import { createDeliveryHandler } from "./take-delivery.ts";

/** A broker without a network: delivers the given messages while it is consumed, and records the outcomes. */
class MemoryBroker {
  readonly waiting: Delivery[] = [];
  readonly outcomes: DeliveryOutcome["kind"][] = [];
  isPaused = false;
  atHand = 0;
  #handler: DeliveryHandler = async () => ({ kind: "returned" });

  consume = (handler: DeliveryHandler) => {
    this.#handler = handler;
    const pause = async () => {
      this.isPaused = true;
      await until("no delivery is in flight", () => this.atHand === 0);
    };
    const resume = () => {
      this.isPaused = false;
      this.#pump();
    };
    return { pause, resume, close: pause };
  };

  give(body: object | Buffer, given: Partial<Delivery> = {}): void {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    this.waiting.push({
      body: bytes,
      bodyBytes: bytes.length,
      contentType: null,
      redelivered: false,
      ...given,
    });
    this.#pump();
  }

  #pump(): void {
    // One at a time, as with a prefetch of 1.
    const next = this.isPaused || this.atHand > 0 ? undefined : this.waiting.shift();
    if (next === undefined) return;
    this.atHand += 1;
    void this.#handler(next).then((outcome) => {
      this.atHand -= 1;
      this.outcomes.push(outcome.kind);
      if (outcome.kind === "returned") this.waiting.unshift(next);
      this.#pump();
    });
  }
}

/** An intake on a real store, whose admission fails with `failure` while that is set. */
async function startTestIntake(t: TestContext, maxQueued: number) {
  const store = await openTestStore(t);
  const log = new MemoryLog();
  const state: { failure: ErrorCode | null } = { failure: null };
  const capacity = createQueueCapacity(store, maxQueued);
  let counts = 0;
  const waiting = () => {
    counts += 1;
    return capacity.waiting();
  };
  const take = async () => {
    if (state.failure !== null) throw new SolsticeError(state.failure, "The store refuses it.");
    const job = await insertTestJob(store);
    capacity.add();
    return { job, existed: false };
  };
  const admission: Admission = {
    capacity: { ...capacity, waiting },
    accept: take,
    acceptDelivered: take,
    retry: take,
  };
  const context = {
    store,
    log,
    phase: "serving",
    drainRecord: { since: () => null },
    identity: { hostId: "host-1" },
  } as unknown as Context;
  const broker = new MemoryBroker();
  const intake = startIntake(context, { broker, admission, onRejected: () => {} });
  t.after(() => intake.close());
  const linesWith = (text: string) => log.lines.filter(({ message }) => message.includes(text)).length;
  return { store, context, broker, intake, state, linesWith, counts: () => counts };
}

test("a full store leaves requests in the broker; pause and resumption are logged once", async (t) => {
  const { store, broker, intake, linesWith } = await startTestIntake(t, 3);
  for (let index = 0; index < 8; index += 1) broker.give({});
  await until("the intake is held: full", () => intake.held() === "full");
  assert.equal(broker.waiting.length, 5, "requests were accepted one at a time, up to the limit");
  assert.deepEqual(broker.outcomes, ["accepted", "accepted", "accepted"]);
  await store.db.updateTable("jobs").set({ state: "succeeded" }).where("state", "=", "queued").execute();
  await until("6 outcomes", () => broker.outcomes.length === 6);
  assert.equal(linesWith("the queue is full (MAX_QUEUED)"), 2);
  assert.equal(linesWith("consuming requests from the broker again"), 1);
  assert.ok(!broker.outcomes.includes("returned"));
});

test("while the store is unavailable a delivery is held, not returned, and consuming stops", async (t) => {
  const { broker, intake, counts, state, linesWith } = await startTestIntake(t, 10);
  state.failure = "store_failed";
  for (let index = 0; index < 3; index += 1) broker.give({});
  await until("the intake is held: store_away", () => intake.held() === "store_away");
  // A store that can be read may still refuse the held delivery.
  const before = counts();
  await until("two more rounds of the loop", () => counts() >= before + 2);
  assert.deepEqual([broker.outcomes, broker.atHand, broker.waiting.length], [[], 1, 2]);
  state.failure = null;
  await until("3 outcomes", () => broker.outcomes.length === 3);
  assert.deepEqual(broker.outcomes, ["accepted", "accepted", "accepted"]);
  assert.deepEqual(
    [linesWith("broker: the store is unavailable"), linesWith("consuming requests from the broker again")],
    [1, 1],
  );
});

test("a host that shuts down returns its held deliveries, and consumes no more", async (t) => {
  const { broker, context, intake, state } = await startTestIntake(t, 10);
  state.failure = "unavailable";
  for (let index = 0; index < 3; index += 1) broker.give({});
  await until("the intake is held: store_away", () => intake.held() === "store_away");
  context.phase = "draining";
  await intake.close();
  assert.equal(intake.held(), "going_down");
  assert.deepEqual([broker.outcomes, broker.waiting.length], [["returned"], 3]);
});

test("a persistent error returns the delivery after a time limit; a defect rejects it", async (t) => {
  const { store, context } = await startTestIntake(t, 10);
  const limits = { holdMs: 50, firstPauseMs: 1, maxPauseMs: 5 };
  const decide = (error: unknown) =>
    createDeliveryHandler(context, {
      admission: { acceptDelivered: () => Promise.reject(error) },
      onStoreAway: () => {},
      onRejected: () => {},
      signal: new AbortController().signal,
      limits,
    })({ body: Buffer.from("{}"), bodyBytes: 2, contentType: null, redelivered: false });
  assert.deepEqual(await decide(new SolsticeError("disk_full", "Full.")), { kind: "returned" });
  assert.deepEqual(await listRejectedMessages(store, 10), []);
  const outcome = await decide(new TypeError("x is undefined"));
  assert.equal(outcome.kind === "rejected" && outcome.code, "internal");
  assert.equal((await listRejectedMessages(store, 10)).length, 1);
});

test("an invalid message is recorded before it is rejected", async (t) => {
  const { store, broker, state } = await startTestIntake(t, 10);
  broker.give(Buffer.from([0xff, 0xfe]));
  broker.give({}, { bodyBytes: 1e9 });
  await until("2 outcomes", () => broker.outcomes.length === 2);
  state.failure = "unknown_label";
  const request_id = randomUUID();
  broker.give({ request_id });
  await until("3 outcomes", () => broker.outcomes.length === 3);
  assert.deepEqual(broker.outcomes, ["rejected", "rejected", "rejected"]);
  const listed = await listRejectedMessages(store, 10);
  assert.deepEqual(listed.map(({ reason }) => reason).sort(), ["limit_exceeded", "unknown_label", "usage"]);
  assert.equal(listed.find(({ reason }) => reason === "unknown_label")?.requestId, request_id);
});
