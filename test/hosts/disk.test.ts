/** Tests a real orchestrator on a full disk: a small file system, filled and freed again. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { submit, untilEnd } from "../support/jobs.ts";
import {
  makeSetup,
  type OrchestratorProcess,
  type OrchestratorSetup,
  startOrchestrator,
} from "../support/orchestrator.ts";
import { until } from "../support/until.ts";

const mebibyte = 1024 * 1024;

const skip = process.getuid?.() === 0 ? false : "mounting a small file system needs root";

const imageMap = `
default_label: any
images:
  any: { local_path: /nonexistent/any.img, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;

/** A data directory on a file system of `sizeMb`, for guests that are not machines. */
function smallDisk(context: TestContext, sizeMb: number, ...flags: string[]): OrchestratorSetup {
  const dataDir = mkdtempSync(join(tmpdir(), "solstice-disk-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMb}m,mode=0711`, "tmpfs", dataDir]);
  context.after(() => {
    // A lazy unmount: the setup's own hook, which runs after this one, ends what is still running there.
    execFileSync("umount", ["--lazy", dataDir]);
    rmdirSync(dataDir);
  });
  const setup = makeSetup(context, imageMap, [
    ...["--hypervisor", "noop", "--noop-delay-ms", "50", "--runner-listen", "127.0.0.1:0", ...flags],
  ]);
  return { ...setup, dataDir };
}

/** Fills the disk until `leaveBytes` are free; returns a function that frees the space again. */
function fill({ dataDir }: OrchestratorSetup, leaveBytes: number): () => void {
  const path = join(dataDir, "ballast");
  const { bavail, bsize } = statfsSync(dataDir);
  try {
    writeFileSync(path, Buffer.alloc(Math.max(0, bavail * bsize - leaveBytes)));
  } catch (error) {
    // Another process wrote meanwhile: the disk is full either way.
    assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
  }
  return () => rmSync(path, { force: true });
}

async function readyz({ apiUrl }: OrchestratorProcess): Promise<{ status: number; text: string }> {
  const response = await fetch(`${apiUrl}/readyz`);
  return { status: response.status, text: await response.text() };
}

async function metricsOf({ apiUrl }: OrchestratorProcess): Promise<string> {
  return (await fetch(`${apiUrl}/metrics`)).text();
}

test("a disk that fills up holds jobs back, says why, and fails none of them", { skip }, async (context) => {
  const setup = smallDisk(context, 128, "--disk-reserve-mb", "32", "--job-retention", "1s");
  const orchestrator = await startOrchestrator(setup);
  const first = await untilEnd(orchestrator, await submit(orchestrator, { script: "true" }));
  assert.equal(first.state, "succeeded");
  assert.equal((await readyz(orchestrator)).status, 200);

  await until("the job is older than its retention", () => Date.now() > Number(first.finishedMs) + 1000);
  const free = fill(setup, 16 * mebibyte);
  await until("not ready", async () => (await readyz(orchestrator)).status === 503);
  assert.match((await readyz(orchestrator)).text, /Only .* free in .*DISK_RESERVE_MB/);
  const ids = await Promise.all(Array.from({ length: 5 }, () => submit(orchestrator, { script: "true" })));
  await until("the old job is removed", () =>
    orchestrator.api.get({ jobId: first.id }).then(
      () => false,
      (error) => ConnectError.from(error).code === Code.NotFound,
    ),
  );
  const metrics = await metricsOf(orchestrator);
  assert.match(metrics, /^solstice_paused 1$/m);
  assert.match(metrics, /^solstice_disk_free_bytes \d{7,8}$/m);
  // Each submission wakes the scheduler: the last one long after the disk was full.
  ids.push(await submit(orchestrator, { script: "true" }));
  for (const jobId of ids) assert.equal((await orchestrator.api.get({ jobId })).job?.state, "queued");

  const freedAt = Date.now();
  free();
  for (const jobId of ids) {
    const job = await untilEnd(orchestrator, jobId);
    assert.deepEqual([job.state, job.attempt], ["succeeded", 1]);
    const claim = job.transitions.find(({ to }) => to === "provisioning");
    assert.ok(Number(claim?.atMs) >= freedAt, "it was claimed while the disk was full");
  }
  assert.equal((await readyz(orchestrator)).status, 200);
  assert.match(await metricsOf(orchestrator), /^solstice_paused 0$/m);
});

test("a disk without any free space is survived, and all work continues once there is space", {
  skip,
}, async (context) => {
  const setup = smallDisk(context, 64, "--disk-reserve-mb", "0", "--max-attempts", "9");
  const orchestrator = await startOrchestrator(setup);
  const ids = await Promise.all(Array.from({ length: 8 }, () => submit(orchestrator, { script: "true" })));
  const free = fill(setup, 0);
  // Refused repeatedly: meanwhile every loop, and each unfinished job, meets the full disk as well.
  let refused = 0;
  await until("the API reported ten times that the disk is full", async () => {
    const request = { script: `true # ${"x".repeat(100_000)}` };
    const answer = await submit(orchestrator, request).catch((error: unknown) => String(error));
    if (!answer.includes(" ")) ids.push(answer);
    if (answer.includes("No space is left")) refused += 1;
    return refused >= 10;
  });
  free();
  ids.push(await submitWhenPossible(orchestrator));
  for (const jobId of ids) {
    const { state, verdict } = await untilEnd(orchestrator, jobId);
    assert.equal(state, "succeeded", verdict?.message);
  }
  assert.equal(await orchestrator.stop("SIGTERM"), 0);
});

async function submitWhenPossible(orchestrator: OrchestratorProcess): Promise<string> {
  let id = "";
  await until("a job is taken again", async () => {
    id = await submit(orchestrator, { script: "true" }).catch(() => "");
    return id !== "";
  });
  return id;
}
