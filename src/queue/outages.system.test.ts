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

/** After this a producer takes a message for lost. */
const confirmTimeoutMs = 1000;
const limits = { firstRetryMs: 50, longestRetryMs: 200, returnPauseMs: 50 };

describe("a broker that goes and comes back", { skip: missingRabbitmq() }, () => {
  let rabbit: PrivateRabbitmq;
  let other: Connection;
  before(async () => {
    rabbit = await startPrivateRabbitmq();
    other = new Connection({ url: rabbit.url, retryLow: 50, retryHigh: 500 });
    other.on("error", () => undefined);
  });
  after(async () => {
    // A test that failed may have left channels open, which a farewell would wait for.
    other.unsafeDestroy();
    await rabbit.stop();
  });

  for (const [how, fault] of [
    ["killed", () => rabbit.kill()],
    ["shut down", () => rabbit.shutDown()],
  ] as const) {
    test(`${how} in the middle: no confirmed message is lost, and nobody is restarted`, async (t) => {
      const config = testConfig(rabbit.url);
      const { handler, texts } = recordingHandler(() => ({ kind: "accepted" }));
      const broker = openBroker({ ...config, log: keepLog(), limits });
      t.after(() => broker.close());
      broker.consume(handler);
      await until("it consumes", () => broker.status().connected && isConsumed(config));
      const stop = new AbortController();
      const publishing = publishUntil(stop.signal, config);
      await until("some have come", () => texts.length > 50);
      await saveQuorumQueues(rabbit.node);
      await fault();
      await until("it is told", () => !broker.status().connected);
      await rabbit.start();
      const before = texts.length;
      await until("some more have come", () => texts.length > before + 50);
      stop.abort();
      const total = await publishing;
      await until("all have come", () => new Set(texts).size === total);
      await until("it is told that it is back", () => broker.status().connected);
    });
  }

  test("results wait for their turn: refused while it is away, confirmed when it is back", async (t) => {
    const config = testConfig(rabbit.url);
    const broker = openBroker({ ...config, log: keepLog(), limits: { ...limits, confirmTimeoutMs: 3000 } });
    t.after(() => broker.close());
    const result = { schema_version: "jobresult.v1", job_id: "j1", request_id: "r1" } as JobResult;
    await broker.publishResult(result);
    await saveQuorumQueues(rabbit.node);
    await rabbit.kill();
    await assert.rejects(broker.publishResult(result), { code: "broker_unavailable" });
    await rabbit.start();
    await until("it is confirmed", () => isTaken(broker, result));
    const { messageCount } = await other.queueDeclare({ queue: `${config.exchange}.results`, passive: true });
    assert.ok(messageCount >= 2);
  });

  test("while RabbitMQ takes no messages, a result that is tried again and again goes out once or twice", async (t) => {
    const config = testConfig(rabbit.url);
    const broker = openBroker({ ...config, log: keepLog(), limits: { ...limits, confirmTimeoutMs: 300 } });
    t.after(() => broker.close());
    const result = { schema_version: "jobresult.v1", job_id: "j1", request_id: "r1" } as JobResult;
    await until("a first one is confirmed", () => isTaken(broker, result));
    await limitMemory(rabbit.node, 0);
    for (let index = 0; index < 20; index += 1) {
      await assert.rejects(broker.publishResult(result), { code: "broker_unavailable" });
    }
    assert.match(broker.status().message, /takes no messages for now/);
    await limitMemory(rabbit.node, 512);
    await until("it is confirmed", () => isTaken(broker, result));
    const { messageCount } = await other.queueDeclare({ queue: `${config.exchange}.results`, passive: true });
    assert.ok(messageCount <= 3, `${messageCount}: the first, the one under way when it was told, the last`);
  });

  async function isTaken(broker: Broker, result: JobResult): Promise<boolean> {
    return broker.publishResult(result).then(
      () => true,
      () => false,
    );
  }

  async function isConsumed({ queue }: AmqpConfig): Promise<boolean> {
    // Until it is declared, asking for it is refused.
    return other.queueDeclare({ queue, passive: true }).then(
      ({ consumerCount }) => consumerCount === 1,
      () => false,
    );
  }

  /** As a careful producer does: each message again, on a new channel, until it is confirmed in time. How many were. */
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
        // The library can wait for ever on a connection that broke in the same moment.
        if (!isConfirmed) publisher = other.createPublisher({ confirm: true });
        return isConfirmed;
      });
    }
    await publisher.close();
    return index;
  }
});
