import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { missingRabbitmq } from "../../../../test/support/servers/private-rabbitmq.ts";
import { type SharedRabbitmq, sharedRabbitmq } from "../../../../test/support/servers/servers.ts";
import { until } from "../../../../test/support/until.ts";
import { openBroker } from "../../../queue/rabbitmq.ts";
import { keepLog, testConfig } from "../../../queue/testing/test-broker.ts";
import { addJob, type FakeApi, startFakeApi } from "../../testing/fake-api.ts";
import { runCli, startCli } from "../../testing/run-cli.ts";

const requestId = "0198a4c2-7a51-7c3e-8a11-3c1f2f8f0a01";
const args = ["enqueue", "--no-repo", "--script", "true", "--request-id", requestId];

describe("solstice enqueue through a real RabbitMQ", { skip: missingRabbitmq() }, () => {
  let rabbit: SharedRabbitmq;
  let api: FakeApi;
  before(async () => {
    rabbit = await sharedRabbitmq();
  });
  after(() => rabbit.stop());
  beforeEach(async () => {
    api = await startFakeApi();
  });
  afterEach(() => api.stop());

  /** An orchestrator's side of the queue, and the environment for a caller. */
  async function consume(
    t: { after(fn: () => Promise<void>): void },
    take: (request: Record<string, unknown>) => void,
  ) {
    const config = testConfig(rabbit.url);
    const broker = openBroker({ ...config, log: keepLog() });
    t.after(() => broker.close());
    broker.consume(async ({ body }) => {
      take(JSON.parse(body.toString()));
      return { kind: "accepted" };
    });
    await until("the queue is bound and consumed", () =>
      rabbit.queueState(config.queue).then((state) => state?.consumers === 1),
    );
    return { AMQP_URL: config.url, AMQP_EXCHANGE: config.exchange, SOLSTICE_API_URL: api.url };
  }

  test("publishes, and reports the published request", async (t) => {
    const taken: Record<string, unknown>[] = [];
    const env = await consume(t, (request) => taken.push(request));
    const { code, stdout, stderr } = await runCli(args, { env });
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, new RegExp(`Request ${requestId} is in RabbitMQ .*solstice logs -f ${requestId}`));
    await until("the request arrives", () => taken.length === 1);
    assert.equal(taken[0]?.request_id, requestId);
    assert.equal(taken[0]?.source, "cli");
    assert.deepEqual(api.submitted, []);
  });

  test("publishes, with --json", async (t) => {
    const env = await consume(t, () => undefined);
    const { code, stdout } = await runCli([...args, "--json"], { env });
    assert.equal(code, 0);
    const published = { exchange: env.AMQP_EXCHANGE, routing_key: "job.request" };
    assert.deepEqual(JSON.parse(stdout), { request_id: requestId, published });
  });

  test("--wait finds the job by its request, shows its log and exits with the job's exit code", async (t) => {
    let isTaken = false;
    const env = await consume(t, () => {
      isTaken = true;
    });
    api.hosts = [
      { hostId: "host-a", state: "serving" },
      { hostId: "host-b", state: "draining", message: "It ends its jobs." },
    ];
    const cli = startCli([...args, "--wait"], { env });
    await cli.sawError(
      "no orchestrator has taken it yet. Host host-b is draining: It ends its jobs. Waiting.\n",
    );
    assert.equal(isTaken, true);
    addJob(api, "7k3m9x", { requestId, state: "running", attempt: 1 });
    api.append("7k3m9x", "hello from the guest\n");
    await cli.sawOutput("hello from the guest");
    api.update("7k3m9x", {
      state: "failed",
      verdict: { state: "failed", reason: "step_failed", message: "It exited with 3.", exitCode: 3 },
    });
    assert.equal(await cli.ended, 3);
  });

  test("--wait reports the reason of a rejected request", async (t) => {
    const env = await consume(t, () => {
      api.rejected.push({ requestId, reason: "unknown_label", message: "No label beos.", hostId: "host-a" });
    });
    const { code, stderr } = await runCli([...args, "--wait"], { env });
    assert.equal(code, 2);
    assert.match(stderr, /rejected by host host-a: No label beos\./);
    assert.match(stderr, /solstice jobs --rejected/);
  });

  test("an unroutable request is an error that names exchange and routing key", async (t) => {
    const env = await consume(t, () => undefined);
    const { code, stderr } = await runCli([...args, "--amqp-routing-key", "job.typo", "--json"], { env });
    assert.equal(code, 1);
    const { error } = JSON.parse(stderr);
    assert.equal(error.code, "unroutable");
    assert.ok(error.message.includes(env.AMQP_EXCHANGE) && error.message.includes("job.typo"));
  });

  test("a broker that cannot be reached is an error at once, without the password", async () => {
    const env = { AMQP_URL: "amqp://ci:s3cret@127.0.0.1:1", SOLSTICE_API_URL: api.url };
    const { code, stderr } = await runCli(args, { env });
    assert.equal(code, 69);
    assert.match(stderr, /amqp:\/\/ci@127\.0\.0\.1:1 cannot be used/);
    assert.ok(stderr.includes(`--request-id ${requestId}`));
    assert.doesNotMatch(stderr, /s3cret/);
  });

  test("a wrong URL of the broker is not printed, because of its password", async () => {
    const { code, stderr } = await runCli([...args, "--amqp-url", "http://ci:s3cret@host"]);
    assert.equal(code, 78);
    assert.match(stderr, /--amqp-url/);
    assert.doesNotMatch(stderr, /s3cret/);
  });
});
