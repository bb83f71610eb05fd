import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection } from "rabbitmq-client";
import {
  missingRabbitmq,
  type PrivateRabbitmq,
  startPrivateRabbitmq,
} from "../../test/support/servers/private-rabbitmq.ts";
import { limitMemory, saveQuorumQueues } from "../../test/support/servers/rabbitmq-node.ts";
import { until } from "../../test/support/until.ts";
import type { AmqpConfig } from "../config/orchestrator-config.ts";
import type { JobResult } from "../core/job/job-result.ts";
import type { Broker } from "./broker.ts";
import { openBroker } from "./rabbitmq.ts";
import { keepLog, recordingHandler, testConfig } from "./testing/test-broker.ts";

/** Time after which a producer considers a message lost. */
const confirmTimeoutMs = 1000;
const limits = { firstRetryMs: 50, longestRetryMs: 200, returnPauseMs: 50 };

describe("a broker that stops and comes back", { skip: missingRabbitmq() }, () => {
  let rabbit: PrivateRabbitmq;
  let other: Connection;
  before(async () => {
    rabbit = await startPrivateRabbitmq();
    other = new Connection({ url: rabbit.url, retryLow: 50, retryHigh: 500 });
    other.on("error", () => undefined);
  });
  after(async () => {
    // A failed test may have left channels open, and a normal close would wait for them.
    other.unsafeDestroy();
    await rabbit.stop();
  });

  for (const [how, fault] of [
    ["killed", () => rabbit.kill()],
    ["shut down", () => rabbit.shutDown()],
  ] as const) {
    test(`${how} in the middle: no confirmed message is lost, and the client needs no restart`, async (t) => {
      const config = testConfig(rabbit.url);
      const { handler, texts } = recordingHandler(() => ({ kind: "accepted" }));
      const broker = openBroker({ ...config, log: keepLog(), limits });
      t.after(() => broker.close());
      broker.consume(handler);
      await until("the orchestrator consumes", () => broker.status().connected && isConsumed(config));
      const stop = new AbortController();
      const publishing = publishUntil(stop.signal, config);
      await until("some messages have arrived", () => texts.length > 50);
      await saveQuorumQueues(rabbit.node);
      await fault();
      await until("the status reports the loss", () => !broker.status().connected);
      await rabbit.start();
      const before = texts.length;
      await until("more messages have arrived", () => texts.length > before + 50);
      stop.abort();
      const total = await publishing;
      await until("all messages have arrived", () => new Set(texts).size === total);
      await until("the status reports the connection", () => broker.status().connected);
    });
  }

  test("results are rejected while the broker is down, and confirmed when it is back", async (t) => {
    const config = testConfig(rabbit.url);
    const broker = openBroker({ ...config, log: keepLog(), limits: { ...limits, confirmTimeoutMs: 3000 } });
    t.after(() => broker.close());
    const result = { schema_version: "jobresult.v1", job_id: "j1", request_id: "r1" } as JobResult;
    await broker.publishResult(result);
    await saveQuorumQueues(rabbit.node);
    await rabbit.kill();
    await assert.rejects(broker.publishResult(result), { code: "broker_unavailable" });
    await rabbit.start();
    await until("the result is confirmed", () => isTaken(broker, result));
    const { messageCount } = await other.queueDeclare({ queue: `${config.exchange}.results`, passive: true });
    assert.ok(messageCount >= 2);
  });

  test("while RabbitMQ accepts no messages, a result that is retried often is sent once or twice", async (t) => {
    const config = testConfig(rabbit.url);
    const broker = openBroker({ ...config, log: keepLog(), limits: { ...limits, confirmTimeoutMs: 300 } });
    t.after(() => broker.close());
    const result = { schema_version: "jobresult.v1", job_id: "j1", request_id: "r1" } as JobResult;
    await until("a first result is confirmed", () => isTaken(broker, result));
    await limitMemory(rabbit.node, 0);
    for (let index = 0; index < 20; index += 1) {
      await assert.rejects(broker.publishResult(result), { code: "broker_unavailable" });
    }
    assert.match(broker.status().message, /accepts no messages for now/);
    await limitMemory(rabbit.node, 512);
    await until("the result is confirmed", () => isTaken(broker, result));
    const { messageCount } = await other.queueDeclare({ queue: `${config.exchange}.results`, passive: true });
    assert.ok(
      messageCount <= 3,
      `${messageCount}: the first, the one in flight when RabbitMQ blocked, the last`,
    );
  });

  async function isTaken(broker: Broker, result: JobResult): Promise<boolean> {
    return broker.publishResult(result).then(
      () => true,
      () => false,
    );
  }

  async function isConsumed({ queue }: AmqpConfig): Promise<boolean> {
    // Until the queue is declared, a passive declaration is refused.
    return other.queueDeclare({ queue, passive: true }).then(
      ({ consumerCount }) => consumerCount === 1,
      () => false,
    );
  }

  /**
   * Publishes as a careful producer does: each message again, on a new channel, until it is confirmed in time. Returns
   * the number of confirmed messages.
   */
  async function publishUntil(signal: AbortSignal, config: AmqpConfig): Promise<number> {
    let publisher = other.createPublisher({ confirm: true });
    let index = 0;
    for (; !signal.aborted; index += 1) {
      await until(`message ${index} is confirmed`, async () => {
        const { exchange, routingKey } = config;
        const sending = publisher.send(
          { exchange, routingKey, durable: true },
          Buffer.from(`message ${index}`),
        );
        const isConfirmed = await Promise.race([
          sending.then(
            () => true,
            () => false,
          ),
          sleep(confirmTimeoutMs, false),
        ]);
        // The library can wait for ever on a connection that broke meanwhile.
        if (!isConfirmed) publisher = other.createPublisher({ confirm: true });
        return isConfirmed;
      });
    }
    await publisher.close();
    return index;
  }
});
