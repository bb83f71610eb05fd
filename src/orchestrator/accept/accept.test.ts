import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type TestContext, test } from "node:test";
import { openTestStore } from "../../api/testing/fixture.ts";
import type { ImageMap } from "../../core/image-map/image-map.ts";
import { hostRecord } from "../../core/schedule/testing/hosts.ts";
import { imageDefinition, imageMapOf } from "../../images/testing/fixtures.ts";
import { renewLease } from "../../store/hosts/hosts.ts";
import { takeOver } from "../../store/hosts/takeover.ts";
import { claimJob, getJob, requestCancel } from "../../store/jobs/jobs.ts";
import type { Context } from "../context.ts";
import { createSecretFiles } from "../secrets/secret-files.ts";
import { createAdmission } from "./admission.ts";

const red = imageDefinition({
  name: "red",
  localPath: "/images/red",
  defaults: { cpu: 1, ramMb: 512, diskGb: 4 },
});
const blue = imageDefinition({
  name: "blue",
  localPath: "/images/blue",
  defaults: { cpu: 8, ramMb: 8192, diskGb: 80 },
});

/** A map whose label `latest` is an alias of one of its images. */
function mapWith(latest: "red" | "blue"): ImageMap {
  return { ...imageMapOf(red, blue), aliases: new Map([["latest", latest]]) };
}

async function createHost(t: TestContext) {
  const store = await openTestStore(t);
  const config = { imageMap: mapWith("red"), maxAttempts: 2, jobTimeoutSeconds: 60, maxQueued: 10 };
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const context = {
    ...{ store, config, phase: "serving" },
    identity: { hostId: "host-a" },
    hypervisor: { backend: "noop" },
    log,
    secrets: createSecretFiles(null, log),
    reach: { report: async () => {}, whyClosed: async () => null, whyUnreachable: async () => null },
  } as unknown as Context;
  return { store, config, admission: createAdmission(context) };
}

test("a job is placed when it is accepted: a changed map, a repeat and a takeover change nothing", async (t) => {
  const { store, config, admission } = await createHost(t);
  const request = { request_id: randomUUID(), script: "true", runs_on: "latest" };
  const { job } = await admission.accept(request);
  const placed = { label: "latest", image: "red", size: red.defaults };
  const placementOf = async () => {
    const { label, image, size } = (await getJob(store, job.id)) ?? assert.fail("the job is gone");
    return { label, image, size };
  };
  assert.deepEqual(await placementOf(), placed);

  config.imageMap = mapWith("blue");
  for (const repeat of [admission.accept, admission.acceptDelivered]) {
    assert.equal((await repeat(request)).job.id, job.id);
  }
  assert.deepEqual(await placementOf(), placed);

  const lease = { hostId: "host-b", at: 1 };
  await renewLease(store, { ...lease, facts: {} as never });
  const prepare = () => ({ bootstrapTokenHash: "token", stepNames: [] });
  await claimJob(store, { jobId: job.id, ...lease, backend: "noop", prepare });
  const taken = await takeOver(store, { hostId: "host-b", renewals: 1, at: 2 });
  assert.equal(taken?.jobs[0]?.state, "queued");
  assert.deepEqual(await placementOf(), placed);
});

test("a retry is a new job, and is placed by the current map", async (t) => {
  const { store, config, admission } = await createHost(t);
  const { job } = await admission.accept({ request_id: randomUUID(), script: "true", runs_on: "latest" });
  const ended = await requestCancel(store, { jobId: job.id, at: 1 });
  config.imageMap = mapWith("blue");
  const again = await admission.retry(ended ?? assert.fail("the job is gone"), randomUUID());
  assert.deepEqual([again.job.label, again.job.image, again.job.size], ["latest", "blue", blue.defaults]);
  assert.equal((await getJob(store, job.id))?.image, "red");
});

test("a label that only another host has is accepted with that host's image and size", async (t) => {
  const { store, admission } = await createHost(t);
  const { facts } = hostRecord("host-b", { images: ["omnios"], facts: { labels: { illumos: "omnios" } } });
  await renewLease(store, { hostId: "host-b", at: Date.now(), facts });
  const { job } = await admission.accept({ request_id: randomUUID(), script: "true", runs_on: "illumos" });
  const size = facts.images.omnios?.defaults;
  assert.deepEqual([job.label, job.image, job.size], ["illumos", "omnios", size]);
  const unknown = { request_id: randomUUID(), script: "true", runs_on: "solaris" };
  await assert.rejects(admission.accept(unknown), { code: "unknown_label" });
});
