import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type AsyncMessage, Connection, type Envelope } from "rabbitmq-client";
import { missingRabbitmq } from "../../test/support/servers/private-rabbitmq.ts";
import { type SharedRabbitmq, sharedRabbitmq } from "../../test/support/servers/servers.ts";
import { until } from "../../test/support/until.ts";
import type { AmqpConfig } from "../config/orchestrator-config.ts";
import { isSolsticeError } from "../core/errors.ts";
import type { JobResult } from "../core/job/job-result.ts";
import type { Broker, DeliveryOutcome } from "./broker.ts";
import { keepBodiesRaw } from "./connection/raw-bodies.ts";
import { openBroker } from "./rabbitmq.ts";
import { keepLog, recordingHandler, testConfig } from "./testing/test-broker.ts";

const accepted: DeliveryOutcome = { kind: "accepted" };
const returned: DeliveryOutcome = { kind: "returned" };
const limits = { firstRetryMs: 50, longestRetryMs: 200, returnPauseMs: 50, messageBytes: 1000 };

describe("the broker, on a real RabbitMQ", { skip: missingRabbitmq() }, () => {
  let rabbit: SharedRabbitmq;
  let other: Connection;
  before(async () => {
    rabbit = await sharedRabbitmq();
    other = connectOther(rabbit.url);
  });
  after(async () => {
    // A failed test may have left channels open, and a normal close would wait for them.
    other.unsafeDestroy();
    await rabbit.stop();
  });

  /** Opens a broker client that is closed when the test ends. */
  function open(t: { after(fn: () => Promise<void>): void }, config: AmqpConfig): Broker {
    const broker = openBroker({ ...config, log: keepLog(), limits });
    t.after(() => broker.close());
    return broker;
  }

  test("declares durable quorum queues", async (t) => {
    const config = testConfig(rabbit.url);
    const broker = open(t, config);
    broker.consume(async () => accepted);
    await until("the queue is consumed", async () => (await consumersOf(config.queue)) === 1);
    assert.equal(broker.status().connected, true);
    for (const name of [config.queue, `${config.queue}.dead`, `${config.exchange}.results`]) {
      const state = await rabbit.queueState(name);
      assert.deepEqual(
        { type: state?.type, durable: state?.durable },
        { type: "rabbit_quorum_queue", durable: true },
        name,
      );
    }
  });

  test("acknowledges a delivery when the handler has accepted it, not earlier", async (t) => {
    const config = testConfig(rabbit.url);
    const gate = Promise.withResolvers<DeliveryOutcome>();
    const { handler, texts } = recordingHandler(() => gate.promise);
    open(t, config).consume(handler);
    await declared(config);
    for (const text of ["one", "two"]) {
      await publish(config, Buffer.from(text));
      await until("the second message is delivered", () => texts.includes(text));
    }
    // The first delivery had as much time as the second.
    assert.equal((await rabbit.queueState(config.queue))?.messages_unacknowledged, 2);
    gate.resolve(accepted);
    await until("the message is acknowledged", async () => {
      const state = await rabbit.queueState(config.queue);
      return state?.messages_ready === 0 && state.messages_unacknowledged === 0;
    });
  });

  const bodies: readonly (readonly [string, Buffer, Partial<Envelope>])[] = [
    [
      "JSON with spaces and a long number",
      Buffer.from('{ "a" :  12345678901234567890 }'),
      { contentType: "application/json" },
    ],
    [
      "invalid JSON with the content type of JSON",
      Buffer.from("{ nothing"),
      { contentType: "application/json" },
    ],
    ["text that is not UTF-8", Buffer.from([0xff, 0x00, 0xfe]), { contentType: "text/plain" }],
    ["no properties at all", Buffer.from("plain"), {}],
    ["an empty body", Buffer.alloc(0), { contentType: "application/json" }],
    ["an encoded body", Buffer.from("zipped"), { contentType: "application/json", contentEncoding: "gzip" }],
  ];
  for (const [name, body, properties] of bodies) {
    test(`dead-letters the unchanged bytes: ${name}`, async (t) => {
      const config = testConfig(rabbit.url);
      const { handler, deliveries } = recordingHandler(() => ({
        kind: "rejected",
        code: "usage",
        message: "No.",
      }));
      open(t, config).consume(handler);
      await declared(config);
      await publish(config, body, {
        ...properties,
        headers: { trace: "t1", CC: [`${config.exchange}.results`] },
      });
      const dead = await nextMessage(`${config.queue}.dead`);
      assert.deepEqual(dead.bytes, body);
      assert.deepEqual(deliveries[0]?.body, body);
      assert.equal(deliveries[0]?.contentType, properties.contentType ?? null);
      assert.equal(dead.message.contentType, properties.contentType);
      assert.equal(dead.message.headers?.["x-solstice-reason"], "usage");
      assert.equal(dead.message.headers?.["x-solstice-message"], "No.");
      assert.match(String(dead.message.headers?.["x-solstice-rejected-at"]), /^\d{4}-\d\d-\d\dT.*Z$/);
      assert.equal(dead.message.headers?.trace, "t1");
      assert.equal(dead.message.durable, true);
    });
  }

  test("dead-letters a message whose headers are too long to be sent on", async (t) => {
    const config = testConfig(rabbit.url);
    const { handler } = recordingHandler(() => ({ kind: "rejected", code: "usage", message: "No." }));
    open(t, config).consume(handler);
    await declared(config);
    await publishLongHeaders(config, 1);
    const dead = await nextMessage(`${config.queue}.dead`);
    assert.equal(dead.bytes.toString(), "long headers");
    assert.equal(dead.message.headers?.["x-solstice-reason"], "usage");
  });

  test("rejects a message that is too large, whatever the handler returns", async (t) => {
    const config = testConfig(rabbit.url);
    const { handler, deliveries } = recordingHandler(() => accepted);
    open(t, config).consume(handler);
    await declared(config);
    await publish(config, Buffer.alloc(1001, "x"), { contentType: "application/json" });
    const dead = await nextMessage(`${config.queue}.dead`);
    assert.equal(dead.message.headers?.["x-solstice-reason"], "limit_exceeded");
    assert.equal(dead.bytes.length, 1001);
    assert.deepEqual([deliveries[0]?.body.length, deliveries[0]?.bodyBytes], [1000, 1001]);
  });

  test("a rejected message whose headers cannot be forwarded does not disturb in-flight results", async (t) => {
    const config = testConfig(rabbit.url);
    const { handler, texts } = recordingHandler(() => ({ kind: "rejected", code: "usage", message: "No." }));
    const broker = open(t, config);
    broker.consume(handler);
    await declared(config);
    const sending = publishLongHeaders(config, 10);
    const results: Promise<void>[] = [];
    for (let index = 0; texts.length < 10; index += 1) {
      results.push(broker.publishResult({ job_id: `j${index}` } as JobResult));
      await nextTurn();
    }
    await Promise.all([sending, ...results]);
  });

  test("a message that is never acknowledged is dead-lettered after some deliveries", async (t) => {
    const config = testConfig(rabbit.url);
    const { handler, deliveries } = recordingHandler(() => returned);
    open(t, config).consume(handler);
    await declared(config);
    await publish(config, Buffer.from("poison"));
    const dead = await nextMessage(`${config.queue}.dead`);
    assert.equal(dead.bytes.toString(), "poison");
    assert.ok(deliveries.length > 10, `${deliveries.length}`);
  });

  test("returns a message to the queue when the handler returns it or fails", async (t) => {
    const config = testConfig(rabbit.url);
    const answers: (() => DeliveryOutcome)[] = [
      () => returned,
      () => {
        throw new Error("a defect");
      },
      () => accepted,
    ];
    const { handler, deliveries } = recordingHandler(() => (answers.shift() ?? (() => accepted))());
    open(t, config).consume(handler);
    await declared(config);
    await publish(config, Buffer.from("again"));
    await until("the message was delivered three times", () => deliveries.length === 3);
    assert.deepEqual(
      deliveries.map(({ redelivered }) => redelivered),
      [false, true, true],
    );
  });

  test("leaves waiting messages to other consumers while paused", async (t) => {
    const config = { ...testConfig(rabbit.url), prefetch: 2 };
    const gate = Promise.withResolvers<DeliveryOutcome>();
    const ours = recordingHandler(() => gate.promise);
    const intake = open(t, config).consume(ours.handler);
    await declared(config);
    for (const text of ["1", "2", "3", "4"]) await publish(config, Buffer.from(text));
    await until("two deliveries are in flight", () => ours.texts.length === 2);
    const paused = intake.pause();
    gate.resolve(accepted);
    await paused;
    const theirs = recordingHandler(() => accepted);
    const second = openBroker({ ...config, log: keepLog(), limits });
    second.consume(theirs.handler);
    await until("the other two are taken", () => theirs.texts.length === 2);
    assert.deepEqual(theirs.texts.toSorted(), ["3", "4"]);
    await second.close();
    intake.resume();
    await publish(config, Buffer.from("5"));
    await until("the first consumer takes deliveries again", () => ours.texts.includes("5"));
  });

  test("declares and consumes again when the queue is deleted", async (t) => {
    const config = testConfig(rabbit.url);
    const { handler, texts } = recordingHandler(() => accepted);
    open(t, config).consume(handler);
    await declared(config);
    await other.queueDelete(config.queue);
    await declared(config);
    await publish(config, Buffer.from("after"));
    await until("the message is delivered", () => texts.includes("after"));
  });

  test("reports a conflicting queue, and continues when that queue is deleted", async (t) => {
    const config = testConfig(rabbit.url);
    await other.queueDeclare({ queue: config.queue, durable: true });
    const broker = open(t, config);
    const { handler, texts } = recordingHandler(() => accepted);
    broker.consume(handler);
    await until("the status reports the conflict", () =>
      broker.status().message.includes("other properties"),
    );
    assert.equal(broker.status().connected, false);
    assert.ok(broker.status().message.includes(`rabbitmqctl delete_queue ${config.queue}`));
    await other.queueDelete(config.queue);
    await until("the queue is consumed", () => broker.status().connected);
    await publish(config, Buffer.from("at last"));
    await until("the message is delivered", () => texts.length === 1);
  });

  test("publishes a result with its properties, also after the queue was deleted", async (t) => {
    const config = testConfig(rabbit.url);
    const broker = open(t, config);
    const result = { schema_version: "jobresult.v1", job_id: "j1", request_id: "r1" } as JobResult;
    await broker.publishResult(result);
    await other.queueDelete(`${config.exchange}.results`);
    await broker.publishResult(result);
    const { message, bytes } = await nextMessage(`${config.exchange}.results`);
    assert.deepEqual(JSON.parse(bytes.toString()), result);
    const { messageId, correlationId, type, contentType, durable, routingKey } = message;
    assert.deepEqual(
      { messageId, correlationId, type, contentType, durable, routingKey },
      {
        messageId: "j1",
        correlationId: "r1",
        type: "jobresult.v1",
        contentType: "application/json",
        durable: true,
        routingKey: "job.result",
      },
    );
  });

  test("never shows a password", async (t) => {
    const log = keepLog();
    const url = `amqp://guest:s3cr%C3%A9t@127.0.0.1:${new URL(rabbit.url).port}`;
    const broker = openBroker({ ...testConfig(url), log, limits: { ...limits, confirmTimeoutMs: 1000 } });
    t.after(() => broker.close());
    broker.consume(async () => accepted);
    await assert.rejects(broker.publishResult({} as JobResult), (error) => {
      assert.ok(isSolsticeError(error, "broker_unavailable"));
      log.error({ err: error, cause: error.cause }, "kept");
      return true;
    });
    await until("the login is refused", () => broker.status().message.includes("ACCESS_REFUSED"));
    assert.doesNotMatch([...log.lines, broker.status().message].join("\n"), /s3cr/);
  });

  function consumersOf(queue: string): Promise<number> {
    return other.queueDeclare({ queue, passive: true }).then(
      ({ consumerCount }) => consumerCount,
      () => 0,
    );
  }

  async function declared({ queue }: AmqpConfig): Promise<void> {
    await until(`${queue} is consumed`, async () => (await consumersOf(queue)) > 0);
  }

  async function publish({ exchange, routingKey }: AmqpConfig, body: Buffer, properties: Envelope = {}) {
    const channel = await other.acquire();
    await channel.confirmSelect();
    await channel.basicPublish({ exchange, routingKey, ...properties }, body);
    await channel.close();
  }

  /** Publishes messages with headers longer than the client's frame. */
  async function publishLongHeaders({ exchange, routingKey }: AmqpConfig, count: number): Promise<void> {
    const wide = connectOther(rabbit.url, 131_072);
    const channel = await wide.acquire();
    await channel.confirmSelect();
    const envelope = { exchange, routingKey, headers: { long: "x".repeat(60_000) } };
    for (let index = 0; index < count; index += 1) {
      await channel.basicPublish(envelope, Buffer.from("long headers"));
    }
    await channel.close();
    await wide.close();
  }

  /** Returns the first message of a queue. */
  async function nextMessage(queue: string): Promise<{ message: AsyncMessage; bytes: Buffer }> {
    const got = Promise.withResolvers<AsyncMessage>();
    const channel = await other.acquire();
    keepBodiesRaw(channel);
    await channel.basicConsume({ queue, noAck: true }, got.resolve);
    const message = await got.promise;
    await channel.close();
    return { message, bytes: message.body };
  }
});

/** Opens a connection of another client. */
function connectOther(url: string, frameMax = 8192): Connection {
  const connection = new Connection({ url, retryLow: 50, retryHigh: 200, frameMax });
  connection.on("error", () => undefined);
  return connection;
}
