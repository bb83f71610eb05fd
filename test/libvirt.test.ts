/** The real orchestrator with real guests: the tiny image, under software emulation, on the system's libvirt. */
import assert from "node:assert/strict";
import { once } from "node:events";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import type { Job, LabelCapacity } from "../src/gen/solstice/v1/jobs_pb.ts";
import { readLog, submit, untilEnd, untilJob, untilLogged } from "./support/jobs.ts";
import { domainNames, gatewayAddress, guestImage, noLibvirt, virsh } from "./support/libvirt.ts";
import {
  makeSetup,
  type OrchestratorProcess,
  type OrchestratorSetup,
  startOrchestrator,
} from "./support/orchestrator.ts";

const skip = noLibvirt;

/** An image without anything to boot: its guest has power, and nothing more. */
function emptyImage(context: TestContext): string {
  const directory = mkdtempSync("/var/tmp/solstice-empty-");
  chmodSync(directory, 0o711);
  context.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "empty.img");
  writeFileSync(path, Buffer.alloc(1024 * 1024));
  return path;
}

async function tinySetup(context: TestContext, ...flags: string[]): Promise<OrchestratorSetup> {
  const imageMap = `
default_label: tiny
images:
  tiny: { local_path: ${await guestImage("tiny")}, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
  empty: { local_path: ${emptyImage(context)}, nocloud: true, format: raw, defaults: { cpu: 1, ram_mb: 64, disk_gb: 1 } }
`;
  return makeSetup(context, imageMap, [
    ...[
      "--hypervisor",
      "libvirt",
      "--libvirt-virt-type",
      "qemu",
      "--runner-listen",
      `${await gatewayAddress()}:0`,
    ],
    ...["--stop-timeout", "3s", ...flags],
  ]);
}

/** Asserts that nothing of these jobs is on the host any more. */
async function assertGone({ dataDir }: OrchestratorSetup, ...jobIds: string[]): Promise<void> {
  const domains = await domainNames();
  for (const id of jobIds) assert.ok(!domains.includes(`job-${id}`), `domain job-${id} is left`);
  assert.deepEqual(readdirSync(join(dataDir, "guests")), []);
  for (const id of jobIds)
    assert.ok(!existsSync(`/var/log/libvirt/qemu/job-${id}.log`), "libvirt's log of it is left");
}

test("jobs in fresh guests: success, failure, power-off, a killed runner, a crash, silence, an endless job", {
  skip,
}, async (context) => {
  // Two attempts would only double the boots; the noop tests show the second attempt.
  const setup = await tinySetup(
    context,
    "--max-attempts",
    "1",
    "--max-concurrency",
    "2",
    "--silence-timeout",
    "20s",
  );
  const orchestrator = await startOrchestrator(setup);
  const cases: [name: string, script: string, check: (job: Job, log: string) => void][] = [
    [
      "success",
      "uname -s; test -e /tmp/marker && exit 9; touch /tmp/marker; cat /proc/sys/kernel/hostname",
      (job, log) => {
        assert.equal(job.state, "succeeded", job.verdict?.message);
        assert.match(log, /^Linux\n/);
        assert.equal(job.log?.completeness, "complete");
      },
    ],
    [
      "fresh again",
      "test -e /tmp/marker && exit 9; exit 4",
      (job) => {
        assert.equal(job.state, "failed");
        assert.equal(job.verdict?.exitCode, 4, "not 9: the guest before it left nothing");
      },
    ],
    [
      "power-off",
      "echo going; poweroff -f; sleep 60",
      (job) => assert.equal(job.verdict?.reason, "guest_stopped", job.verdict?.message),
    ],
    [
      "killed runner",
      "kill -9 -1; sleep 60",
      (job) => assert.match(job.verdict?.reason ?? "", /^(runner_lost|runner_silent|guest_stopped)$/),
    ],
    [
      "crash",
      "echo c >/proc/sysrq-trigger; sleep 60",
      (job) => {
        assert.match(job.verdict?.reason ?? "", /^(guest_crashed|guest_stopped|runner_silent)$/);
        assert.match(
          job.verdict?.message ?? "",
          /panic|crash/i,
          "the console's last lines tell what happened",
        );
      },
    ],
    [
      "silence",
      "ip link set eth0 down; sleep 600",
      (job) => assert.equal(job.verdict?.reason, "runner_silent", job.verdict?.message),
    ],
    ["endless", "while :; do sleep 1; done", (job) => assert.equal(job.verdict?.reason, "job_timeout")],
  ];
  const ids: string[] = [];
  for (const [name, script] of cases) {
    const timeout_seconds = name === "endless" ? 5 : 300;
    ids.push(await submit(orchestrator, { script, timeout_seconds }));
  }
  for (const [index, [name, , check]] of cases.entries()) {
    const id = ids[index] ?? "";
    const job = await untilEnd(orchestrator, id);
    await context.test(name, async () => check(job, (await readLog(orchestrator, id)).toString()));
  }
  await assertGone(setup, ...ids);
});

test("a guest that never calls ends at the boot deadline, is tried again, and shows its console", {
  skip,
}, async (context) => {
  const setup = await tinySetup(context, "--boot-timeout", "4s");
  const orchestrator = await startOrchestrator(setup);
  const id = await submit(orchestrator, { runs_on: "empty", script: "true" });
  const job = await untilEnd(orchestrator, id);
  assert.equal(job.state, "infra_error");
  assert.equal(job.verdict?.reason, "boot_timeout");
  assert.equal(job.attempt, 2);
  assert.equal(job.transitions.filter(({ to }) => to === "booting").length, 2);
  await assertGone(setup, id);
});

for (const state of ["provisioning", "booting", "running", "finalizing"]) {
  test(`kill -9 when a guest's job is ${state}: adopted or cleaned up, and it ends well`, {
    skip,
  }, async (context) => {
    const setup = await tinySetup(context);
    const first = await startOrchestrator(setup);
    const runnerListen = ["--runner-listen", new URL(first.runnerUrl).host];
    const id = await submit(first, { script: "echo begin; sleep 3; echo end" });
    if (state === "running") await untilLogged(first, id, "begin");
    else await untilJob(first, id, (job) => job.transitions.some(({ to }) => to === state));
    await first.stop("SIGKILL");

    const second = await startOrchestrator(setup, runnerListen);
    const job = await untilEnd(second, id);
    assert.equal(job.state, "succeeded", `${job.verdict?.message}\n${second.log()}`);
    assert.equal(job.attempt, 1, "the guest was adopted, not made again");
    assert.equal((await readLog(second, id)).toString(), "begin\nend\n");
    assert.match((await readLog(second, id, { stream: "console" })).toString(), /Linux version|solstice/);
    await assertGone(setup, id);
  });
}

/** Makes domains and directories that look like guests, and returns what must not be touched. */
async function plantForeignGuest(context: TestContext, name: string): Promise<void> {
  const xml = `<domain type='qemu'><name>${name}</name><memory unit='MiB'>16</memory>
    <os><type arch='x86_64' machine='q35'>hvm</type></os></domain>`;
  const file = join(mkdtempSync("/var/tmp/solstice-foreign-"), "domain.xml");
  writeFileSync(file, xml);
  context.after(async () => {
    await virsh("undefine", name);
    rmSync(join(file, ".."), { recursive: true });
  });
  await virsh("define", file);
}

test("a start removes what an unknown job left, and never touches what is not ours", {
  skip,
}, async (context) => {
  const setup = await tinySetup(context);
  const foreign = `job-foreign${process.pid}`;
  await plantForeignGuest(context, foreign);
  const first = await startOrchestrator(setup);
  const id = await submit(first, { script: "sleep 600" });
  await untilLoggedOrRunning(first, id);
  await first.stop("SIGKILL");
  // The store is lost with its job, as after a restore from an old backup: the guest is ours, and nobody's.
  rmSync(join(setup.dataDir, "state"), { recursive: true });

  const second = await startOrchestrator(setup);
  await assertGone(setup, id);
  assert.ok((await domainNames()).includes(foreign));
  assert.equal(await second.stop("SIGTERM"), 0);
});

function untilLoggedOrRunning(orchestrator: OrchestratorProcess, id: string): Promise<Job> {
  return untilJob(orchestrator, id, (job) => job.state === "running");
}

test("on SIGTERM after the drain time, guests are asked to shut down and the job waits for the next start", {
  skip,
}, async (context) => {
  const setup = await tinySetup(context, "--drain-timeout", "1s");
  const first = await startOrchestrator(setup);
  const id = await submit(first, { script: "echo up; sleep 600" });
  await untilLogged(first, id, "up");
  assert.equal(await first.stop("SIGTERM"), 0, first.log());
  await assertGone(setup, id);

  const second = await startOrchestrator(setup);
  const { job } = await second.api.get({ jobId: id });
  assert.equal(
    job?.transitions.find(({ to }) => to === "queued" && job.transitions.length > 1)?.to,
    "queued",
  );
  await second.api.cancel({ jobId: id });
  const ended = await untilEnd(second, id);
  assert.equal(ended.state, "cancelled");
  await assertGone(setup, id);
});

test("a job waits for its image, is told so, and is not lost on a bad one; others go on", {
  skip,
}, async (context) => {
  // Announces more than it sends, and then is silent: a download that is under way for as long as the test needs.
  const server = createServer((request, response) => {
    if (request.url === "/slow") response.writeHead(200, { "content-length": "1000000" }).write("slow");
    else response.writeHead(200).end("not what the map promises");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => server.close().closeAllConnections());
  const source = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const setup = await tinySetup(context, "--image-timeout", "8s");
  appendFileSync(
    setup.imageMapPath,
    `  slow: { source: "${source}/slow", nocloud: true }\n  bad: { source: "${source}/bad", sha256: "${"0".repeat(64)}" }\n`,
  );
  const orchestrator = await startOrchestrator(setup);
  const waiting = await submit(orchestrator, { runs_on: "slow", script: "true" });
  const why = await orchestrator.api.explain({ jobId: waiting });
  assert.equal(why.constraint, "image_not_ready");
  assert.match(why.message, /slow/);

  await untilCapacity(orchestrator, (labels) =>
    labels.some((label) => label.label === "bad" && label.imageState === "failed"),
  );
  await assert.rejects(
    submit(orchestrator, { runs_on: "bad", script: "true" }),
    /bad.*sha256|bad.*checksum/is,
  );
  const good = await untilEnd(orchestrator, await submit(orchestrator, { runs_on: "tiny", script: "true" }));
  assert.equal(good.state, "succeeded");

  const job = await untilEnd(orchestrator, waiting);
  assert.equal(job.state, "infra_error");
  assert.equal(job.verdict?.reason, "image_unavailable");
  assert.match(job.verdict?.message ?? "", /did not become ready within 8 s/);
});

/** Asks for the capacity until `enough` says so, at most for 30 s. */
async function untilCapacity(
  { api, log }: OrchestratorProcess,
  enough: (labels: LabelCapacity[]) => boolean,
): Promise<void> {
  for (let round = 0; round < 300; round += 1) {
    if (enough((await api.capacity({})).labels)) return;
    await setTimeout(100);
  }
  throw new Error(`the capacity never became as expected:\n${log()}`);
}
