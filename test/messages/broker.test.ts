/** Tests real orchestrators on a real RabbitMQ, together with a separate program. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { promisify } from "node:util";
import type { JobResult } from "../../src/core/job/job-result.ts";
import { startTcpProxy } from "../chaos/tcp-proxy.ts";
import { submit, untilEnd, untilState } from "../support/jobs.ts";
import {
  cleanEnvironment,
  makeSetup,
  type OrchestratorProcess,
  type OrchestratorSetup,
  solstice,
  startOrchestrator,
} from "../support/orchestrator.ts";
import { createOutsider, type Outsider } from "../support/servers/broker.ts";
import { missingRabbitmq } from "../support/servers/private-rabbitmq.ts";
import { type SharedRabbitmq, sharedRabbitmq } from "../support/servers/servers.ts";
import { until } from "../support/until.ts";

const skip = missingRabbitmq();
const run = promisify(execFile);

const imageMap = `
default_label: any
images:
  any: { local_path: /nonexistent/any.img, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;

let rabbitmq: SharedRabbitmq;
before(async () => {
  if (!skip) rabbitmq = await sharedRabbitmq();
});
after(() => rabbitmq?.stop());

/** An orchestrator's setup, a separate program on the same exchange, and the names of the queues, all for one test. */
interface Place {
  readonly setup: OrchestratorSetup;
  readonly outsider: Outsider;
  readonly requests: string;
  readonly results: string;
  readonly dead: string;
}

function createPlace(context: TestContext, ...flags: string[]): Place {
  return createPlaceAt(rabbitmq.url, context, flags);
}

/** With `url` the orchestrator reaches the broker; the separate program connects to it directly. */
function createPlaceAt(url: string, context: TestContext, flags: readonly string[]): Place {
  const exchange = `test.${randomUUID()}`;
  const requests = `${exchange}.requests`;
  const setup = makeSetup(context, imageMap, [
    ...["--hypervisor", "noop", "--runner-listen", "127.0.0.1:0", "--amqp-url", url],
    ...["--amqp-exchange", exchange, "--amqp-queue", requests, "--log-level", "info", ...flags],
  ]);
  const outsider = createOutsider(rabbitmq.url, { exchange, routingKey: "job.request" });
  return { setup, outsider, requests, results: `${exchange}.results`, dead: `${requests}.dead` };
}

function createRequest(given: object = {}) {
  return {
    schema_version: "jobrequest.v1",
    request_id: randomUUID(),
    source: "stranger",
    script: "true",
    ...given,
  };
}

async function takeResult({ outsider, results }: Place): Promise<JobResult & { messageId: string | null }> {
  const { body, messageId } = await outsider.take(results);
  return { ...JSON.parse(body.toString()), messageId };
}

function linesWith({ log }: OrchestratorProcess, text: string): string[] {
  return log()
    .split("\n")
    .filter((line) => line.includes(text));
}

/** The ready messages in the broker, and the unacknowledged ones. */
async function queued({ requests }: Place): Promise<{ ready: number; atHand: number; consumers: number }> {
  const state = await until("the request queue is there", () => rabbitmq.queueState(requests));
  return {
    ready: state.messages_ready,
    atHand: state.messages_unacknowledged,
    consumers: state.consumers,
  };
}

test("messages of a separate program", { skip }, async (context) => {
  const place = createPlace(context, "--noop-delay-ms", "50");
  const orchestrator = await startOrchestrator(place.setup);

  await context.test(
    "a separate program's request becomes one job, and its result has all fields",
    async () => {
      const commit_sha = "0123456789abcdef0123456789abcdef01234567";
      const request = createRequest({ repo_url: "https://example.org/a/b.git", commit_sha, group_id: "g1" });
      await place.outsider.publish(request);
      await place.outsider.publish(request);
      const result = await takeResult(place);
      const { jobs } = await orchestrator.api.list({});
      assert.equal(jobs.length, 1);
      assert.equal(result.messageId, jobs[0]?.id);
      const { schema_version, request_id, job_id, state, reason, exit_code, source, group_id } = result;
      assert.deepEqual(
        { schema_version, request_id, job_id, state, reason, exit_code, source, group_id },
        {
          schema_version: "jobresult.v1",
          request_id: request.request_id,
          job_id: jobs[0]?.id,
          state: "succeeded",
          reason: "completed",
          exit_code: 0,
          source: "stranger",
          group_id: "g1",
        },
      );
      // Without "booting" when the runner called before its boot was recorded.
      assert.deepEqual(
        result.transitions.map((change) => change.to).filter((state) => state !== "booting"),
        ["queued", "provisioning", "running", "finalizing", "succeeded"],
      );
      assert.deepEqual(
        result.steps.map((step) => step.name),
        ["checkout", "script"],
      );
      // A job from the API has a result as well; and a third copy through the broker is still the same job.
      const throughApi = await submit(orchestrator, { script: "true" });
      assert.equal((await takeResult(place)).job_id, throughApi);
      await place.outsider.publish(request);
      await until("the copy is dealt with", async () => {
        const { ready, atHand } = await queued(place);
        return ready + atHand === 0 ? true : null;
      });
      assert.equal((await orchestrator.api.list({})).jobs.length, 2);
      assert.equal((await rabbitmq.queueState(place.results))?.messages_ready, 0);
    },
  );

  await context.test(
    "a message that cannot become a job is dead-lettered with its reason, and listed",
    async () => {
      const unknownLabel = createRequest({ runs_on: "beos" });
      const wrong: (Buffer | object)[] = [
        Buffer.from("{ this is not JSON"),
        Buffer.from([0xff, 0xfe, 0x00, 0x01]),
        { request_id: "no-uuid", script: "true" },
        unknownLabel,
      ];
      for (const body of wrong) await place.outsider.publish(body);
      await place.outsider.publish(unknownLabel);
      const good = createRequest();
      await place.outsider.publish(good);
      assert.equal(
        (await takeResult(place)).request_id,
        good.request_id,
        "a wrong message holds up no right one",
      );

      const reasons: unknown[] = [];
      for (let index = 0; index < 5; index += 1) {
        const dead = await place.outsider.take(place.dead);
        reasons.push(dead.headers["x-solstice-reason"]);
      }
      assert.deepEqual(reasons.sort(), ["unknown_label", "unknown_label", "usage", "usage", "usage"]);

      const client = ["--api-url", orchestrator.apiUrl];
      const { stdout } = await run(solstice, ["jobs", "--rejected", "--json", ...client], {
        env: cleanEnvironment(),
      });
      const { messages } = JSON.parse(stdout);
      assert.equal(messages.length, 4);
      const listed = messages.find((message: { reason: string }) => message.reason === "unknown_label");
      assert.equal(listed.request_id, unknownLabel.request_id);
      assert.equal(listed.times, 2);
      assert.match(listed.message, /beos.*any/s);
      assert.deepEqual(JSON.parse(Buffer.from(listed.body_base64, "base64").toString()), unknownLabel);
      const table = await run(solstice, ["jobs", "--rejected", ...client], { env: cleanEnvironment() });
      assert.match(table.stdout, /^AGE +REASON +TIMES +REQUEST +MESSAGE$/m);
      assert.match(table.stdout, /usage +1 +no-uuid +The job request is not valid: request_id/);
      const metrics = await (await fetch(`${orchestrator.apiUrl}/metrics`)).text();
      assert.match(metrics, /^solstice_rejected_messages_total\{reason="unknown_label"\} 2$/m);
      assert.match(metrics, /^solstice_broker_connected 1$/m);
    },
  );

  await context.test("a request queue that is deleted is created again", async () => {
    await until("there is a consumer", async () => ((await queued(place)).consumers > 0 ? true : null));
    await place.outsider.deleteQueue(place.requests);
    const request = createRequest();
    await place.outsider.publish(request);
    assert.equal((await takeResult(place)).request_id, request.request_id);
  });
});

test("a verdict during a broker outage is published afterwards; a host starts without the broker", {
  skip,
}, async (context) => {
  const url = new URL(rabbitmq.url);
  const wire = await startTcpProxy(Number(url.port));
  context.after(() => wire.close());
  url.port = String(wire.port);
  const place = createPlaceAt(url.href, context, ["--noop-delay-ms", "1000"]);
  const orchestrator = await startOrchestrator(place.setup);
  const request = createRequest();
  await place.outsider.publish(request);
  const jobId = await until("the job runs", async () => {
    const { jobs } = await orchestrator.api.list({});
    return jobs[0]?.id ?? null;
  });
  wire.drop();
  await untilEnd(orchestrator, jobId);
  await until("/readyz reports the broker", async () => {
    const response = await fetch(`${orchestrator.apiUrl}/readyz`);
    return /"name":"broker","ok":false/.test(await response.text()) ? true : null;
  });
  assert.match(
    await (await fetch(`${orchestrator.apiUrl}/metrics`)).text(),
    /^solstice_outbox_unpublished 1$/m,
  );
  assert.equal(await orchestrator.stop("SIGKILL"), "SIGKILL");

  const again = await startOrchestrator(place.setup);
  const meanwhile = await submit(again, { script: "true" });
  await untilEnd(again, meanwhile);
  wire.repair();
  assert.equal((await takeResult(place)).job_id, jobId);
  assert.equal((await takeResult(place)).job_id, meanwhile);
  const later = createRequest();
  await place.outsider.publish(later);
  assert.equal((await takeResult(place)).request_id, later.request_id);
});

test("a full host leaves requests in the broker, also when it stops, and takes them later", {
  skip,
}, async (context) => {
  const flags = [
    "--noop-runner",
    "process",
    "--max-concurrency",
    "1",
    "--max-queued",
    "5",
    "--drain-timeout",
    "1s",
  ];
  const place = createPlace(context, ...flags);
  const gate = join(place.setup.dataDir, "gate");
  const script = `until [ -e ${gate} ]; do sleep 0.1; done`;
  const requests = Array.from({ length: 20 }, () => createRequest({ script }));
  const orchestrator = await startOrchestrator(place.setup);
  const [first, ...others] = requests;
  await place.outsider.publish(first ?? assert.fail());
  // The host must become full once: a claim after that would make room for one more.
  await until(
    "the first job runs",
    async () => (await orchestrator.api.list({ states: ["running"] })).jobs.length === 1,
  );
  for (const request of others) await place.outsider.publish(request);
  const left = await until("the intake is held", async () => {
    const { ready, atHand, consumers } = await queued(place);
    return consumers === 0 && atHand === 0 && ready < requests.length ? ready : null;
  });
  const { jobs } = await orchestrator.api.list({});
  assert.equal(left + jobs.length, requests.length);
  // One job runs, five wait; messages already received when the store became full were not returned.
  assert.ok(jobs.length >= 6 && jobs.length <= 9, `${jobs.length} jobs were taken`);
  assert.equal(linesWith(orchestrator, "the queue is full (MAX_QUEUED)").length, 1);
  await assert.rejects(submit(orchestrator, { script }), /\[resource_exhausted\].*5 jobs wait/);
  const known = jobs[0];
  assert.equal(await submit(orchestrator, { request_id: known?.requestId ?? "", script }), known?.id);

  assert.equal(await orchestrator.stop("SIGTERM"), 0, orchestrator.log());
  assert.deepEqual(await queued(place), { ready: left, atHand: 0, consumers: 0 });

  const again = await startOrchestrator(place.setup);
  writeFileSync(gate, "");
  const results = [];
  for (const _ of requests) results.push(await takeResult(place));
  assert.deepEqual(
    results.map((result) => result.request_id).sort(),
    requests.map((request) => request.request_id).sort(),
  );
  assert.ok(results.every((result) => result.state === "succeeded"));
  assert.deepEqual(await queued(place), { ready: 0, atHand: 0, consumers: 1 });
  for (const { id } of (await again.api.list({})).jobs) await untilState(again, id, "succeeded");
});
