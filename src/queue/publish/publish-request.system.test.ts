import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, describe, test } from "node:test";
import { missingRabbitmq } from "../../../test/support/servers/private-rabbitmq.ts";
import { type SharedRabbitmq, sharedRabbitmq } from "../../../test/support/servers/servers.ts";
import { until } from "../../../test/support/until.ts";
import { isSolsticeError, type SolsticeError } from "../../core/errors.ts";
import { parseJobRequest } from "../../core/request/job-request.ts";
import { openBroker } from "../rabbitmq.ts";
import { keepLog, recordingHandler, testConfig } from "../testing/test-broker.ts";
import { publishRequest } from "./publish-request.ts";

const request = parseJobRequest({ request_id: "0198a4c2-7a51-7c3e-8a11-3c1f2f8f0a01", script: "true" });

describe("publishing a request, to a real RabbitMQ", { skip: missingRabbitmq() }, () => {
  let rabbit: SharedRabbitmq;
  before(async () => {
    rabbit = await sharedRabbitmq();
  });
  after(() => rabbit.stop());

  test("puts the request into the queue of the orchestrators", async (t) => {
    const config = testConfig(rabbit.url);
    const broker = openBroker({ ...config, log: keepLog() });
    t.after(() => broker.close());
    const { handler, deliveries, texts } = recordingHandler(() => ({ kind: "accepted" }));
    broker.consume(handler);
    await until("the queue is bound and consumed", () =>
      rabbit.queueState(config.queue).then((state) => state?.consumers === 1),
    );
    await publishRequest(config, request);
    await until("the request arrives", () => texts.length === 1);
    assert.deepEqual(JSON.parse(texts[0] ?? ""), request);
    assert.equal(deliveries[0]?.contentType, "application/json");
  });

  test("reports that no queue is bound to the routing key", async (t) => {
    const config = testConfig(rabbit.url);
    const broker = openBroker({ ...config, log: keepLog() });
    t.after(() => broker.close());
    broker.consume(async () => ({ kind: "accepted" }));
    await until("the queue is bound and consumed", () =>
      rabbit.queueState(config.queue).then((state) => state?.consumers === 1),
    );
    const error = await failure({ ...config, routingKey: "job.typo" });
    assert.equal(error.code, "unroutable");
    assert.ok(error.message.includes(config.exchange) && error.message.includes("job.typo"), error.message);
    assert.match(error.remedy ?? "", /--amqp-exchange/);
  });

  test("reports that the exchange does not exist", async () => {
    const config = testConfig(rabbit.url);
    const error = await failure(config);
    assert.equal(error.code, "unroutable");
    assert.ok(error.message.includes(`no exchange ${config.exchange}`), error.message);
  });

  test("reports at once that the login is refused, without the password", async () => {
    const error = await failure(
      testConfig(`amqp://guest:wrong-s3cret@127.0.0.1:${new URL(rabbit.url).port}`),
    );
    assert.equal(error.code, "broker_unavailable");
    assert.match(error.message, /amqp:\/\/guest@127\.0\.0\.1:\d+ cannot be used: .*ACCESS_REFUSED/);
    assert.doesNotMatch(`${error.message} ${error.remedy} ${error.stack}`, /s3cret/);
  });

  test("reports at once that no server listens", async () => {
    const error = await failure(testConfig("amqp://guest:s3cret@127.0.0.1:1"));
    assert.equal(error.code, "broker_unavailable");
    assert.match(error.message, /127\.0\.0\.1:1 cannot be used: .*ECONNREFUSED/);
  });

  test("does not wait for ever for a server that accepts and never answers", async (t) => {
    const silent = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    const address = silent.address();
    assert.ok(typeof address === "object" && address);
    t.after(() => silent.close());
    const error = await failure({ ...testConfig(`amqp://127.0.0.1:${address.port}`), timeoutMs: 300 });
    assert.equal(error.code, "broker_unavailable");
  });
});

async function failure(options: Parameters<typeof publishRequest>[0]): Promise<SolsticeError> {
  const error: unknown = await publishRequest(options, request).then(
    () => null,
    (caught: unknown) => caught,
  );
  assert.ok(isSolsticeError(error), `it was ${error}`);
  return error;
}
