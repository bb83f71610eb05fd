/**
 * Tests one image map for hosts with different backends, as real processes on one PostgreSQL: which host runs a job,
 * and what is reported.
 */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { openStandIn } from "../illumos/stand-in.ts";
import { guestImage } from "../support/guests/libvirt.ts";
import { zonesFlags } from "../support/guests/zones.ts";
import { submit, untilEnd } from "../support/jobs.ts";
import {
  cleanEnvironment,
  makeSetup,
  type OrchestratorProcess,
  solstice,
  startOrchestrator,
} from "../support/orchestrator.ts";
import { sharedPostgres } from "../support/servers/servers.ts";

const run = promisify(execFile);

const database = await sharedPostgres();
after(() => database.stop());

const size = "nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 }";

/** The map of every host: an image for each backend, and one for zones, whose guests these hosts cannot make. */
const imageMap = (omnios = 'source: "http://127.0.0.1:9/never-fetched.img"') => `
default_label: latest
aliases: { latest: tiny, illumos: omnios }
images:
  tiny: { local_path: /nonexistent/tiny.img, backend: libvirt, ${size} }
  odd: { local_path: /nonexistent/odd.img, backend: zones, disk_bus: scsi, ${size} }
  quick: { local_path: /nonexistent/quick.img, backend: noop, ${size} }
  omnios: { ${omnios}, backend: zones, ${size} }
`;

interface Host {
  readonly process: OrchestratorProcess;
  readonly hostId: string;
}

async function startHost(
  context: TestContext,
  options: { map: string; url: string; flags: readonly string[]; environment?: NodeJS.ProcessEnv },
): Promise<Host> {
  const { map, url, flags, environment = {} } = options;
  const setup = makeSetup(context, map, [...flags, "--database-url", url, "--image-timeout", "1s"]);
  const process = await startOrchestrator(setup, [], environment);
  const { hosts } = await process.api.capacity({});
  return { process, hostId: hosts[0]?.hostId ?? "" };
}

const noop = ["--hypervisor", "noop", "--noop-delay-ms", "10", "--runner-listen", "127.0.0.1:0"];

async function explained({ process }: Host, jobId: string): Promise<string> {
  const { constraint, message } = await process.api.explain({ jobId });
  return `${constraint} ${message}`;
}

async function textOf({ process }: Host, path: string): Promise<string> {
  return (await fetch(new URL(path, process.apiUrl))).text();
}

test("a job waits for a host with its image's backend, and does not delay others; every listing shows this", async (context) => {
  const url = await database.createDatabase();
  const one = await startHost(context, { map: imageMap(), url, flags: noop });
  const other = await startHost(context, {
    map: `default_label: mine\nimages: { mine: { local_path: /nonexistent/x, ${size} } }\n`,
    url,
    flags: noop,
  });
  // By the alias that is the default, and at the host whose map does not contain the label.
  const [byDefault, byAlias] = [
    await submit(one.process, { script: "true" }),
    await submit(other.process, { runs_on: "illumos", script: "true" }),
  ];
  for (const [jobId, backend] of [
    [byDefault, "libvirt"],
    [byAlias, "zones"],
  ] as const) {
    for (const called of [one, other]) {
      const why = await explained(called, jobId);
      assert.match(why, new RegExp(`^no_backend Image .* needs a host with backend ${backend}, but no live`));
      for (const { hostId } of [one, other]) assert.match(why, new RegExp(`host ${hostId} has noop`));
      assert.match(why, new RegExp(`HYPERVISOR=${backend}`));
    }
  }
  const quick = await untilEnd(
    other.process,
    await submit(other.process, { runs_on: "quick", script: "true" }),
  );
  assert.deepEqual([quick.state, quick.hostId], ["succeeded", one.hostId]);

  const { labels, hosts } = await one.process.api.capacity({});
  assert.deepEqual(
    labels.map((label) => [label.label, label.imageState, label.queued]),
    [
      ["latest", "elsewhere", 1],
      ["illumos", "elsewhere", 1],
      ["tiny", "elsewhere", 0],
      ["odd", "elsewhere", 0],
      ["quick", "ready", 0],
      ["omnios", "elsewhere", 0],
    ],
  );
  assert.deepEqual(
    hosts.map(({ labels }) => labels),
    [["quick"], ["mine"]],
  );
  assert.match(await textOf(one, "/readyz"), /ready: quick"/);
  const gauges = (await textOf(one, "/metrics")).match(/^solstice_image_ready\{.*$/gm);
  assert.deepEqual(gauges, ['solstice_image_ready{image="quick"} 1']);
  assert.match(
    one.process.log(),
    /"images":\["tiny","odd","omnios"\].*"images that only other hosts can run"/,
  );
});

test("images of another backend are neither fetched nor checked, also by hand", async (context) => {
  const { dataDir, imageMapPath } = makeSetup(context, imageMap(), []);
  const flags = ["--config", imageMapPath, "--data-dir", dataDir, "--hypervisor", "libvirt"];
  const env = cleanEnvironment();
  const listed = JSON.parse((await run(solstice, ["images", "--json", ...flags], { env })).stdout);
  assert.deepEqual(
    listed.images.map(({ name, unfit }: { name: string; unfit: string | null }) => [name, unfit !== null]),
    [
      ["tiny", false],
      ["odd", true],
      ["quick", true],
      ["omnios", true],
    ],
  );
  const refused = run(solstice, ["images", "pull", "omnios", ...flags], { env });
  await assert.rejects(refused, {
    code: 1,
    stderr: /needs a host with backend zones; this host has libvirt/,
  });
  const all = run(solstice, ["images", "pull", ...flags], { env });
  await assert.rejects(all, ({ stderr }: { stderr: string }) => !/omnios|never-fetched/.test(stderr));
});

test("a host with zones runs jobs for zones, and reports at once what it cannot make", async (context) => {
  const url = await database.createDatabase();
  const map = imageMap(`local_path: ${await guestImage("tiny")}`);
  const plain = await startHost(context, { map, url, flags: noop });
  const waiting = await submit(plain.process, { runs_on: "illumos", script: "echo in a zone" });
  const whyUnavailable = await submit(plain.process, { runs_on: "odd", script: "true" });
  for (const jobId of [waiting, whyUnavailable])
    assert.match(await explained(plain, jobId), /^no_backend .*zones/);

  const standIn = await openStandIn({ guests: "scripted" });
  context.after(() => standIn.close());
  const able = await startHost(context, {
    map,
    url,
    flags: await zonesFlags(),
    environment: standIn.environment,
  });
  const refused = await untilEnd(plain.process, whyUnavailable);
  assert.deepEqual([refused.state, refused.verdict?.reason], ["infra_error", "image_unavailable"]);
  assert.match(refused.verdict?.message ?? "", /Backend zones does not support disk_bus: scsi/);
  for (const { process } of [plain, able]) {
    const again = submit(process, { runs_on: "odd", script: "true" });
    await assert.rejects(again, /Image odd cannot be used: Backend zones does not support disk_bus/);
  }
  const ended = await untilEnd(plain.process, waiting);
  assert.deepEqual([ended.state, ended.hostId], ["succeeded", able.hostId], able.process.log());
  const elsewhere = await submit(able.process, { script: "true" });
  const why = await explained(able, elsewhere);
  for (const has of [`${plain.hostId} has noop`, `${able.hostId} has zones`])
    assert.ok(why.includes(has), why);
});
