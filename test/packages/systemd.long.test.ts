/** Tests the packaged service under a real systemd: in a Debian guest, which the product itself makes for a job. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createReadStream, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import type { Job } from "../../src/gen/solstice/v1/jobs_pb.ts";
import { gatewayAddress, guestImage, noLibvirt } from "../support/guests/libvirt.ts";
import { readLog, submit } from "../support/jobs.ts";
import { makeSetup, type OrchestratorProcess, startOrchestrator } from "../support/orchestrator.ts";

const buildScript = new URL("../../scripts/build-deb.sh", import.meta.url).pathname;
const lifeScript = new URL("./scripts/systemd-life.sh", import.meta.url);

/** Time limit of the whole life under software emulation on a busy machine, in seconds. */
const lifeSeconds = 1500;

/** Builds the package, and serves it on an address of this host and a free port. */
async function servePackage(context: TestContext, host: string): Promise<{ port: number }> {
  const directory = mkdtempSync(join(tmpdir(), "solstice-systemd-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const { stdout } = await promisify(execFile)(buildScript, ["--fast", directory]);
  const server = createServer((_, response) => createReadStream(stdout.trimEnd()).pipe(response));
  server.listen(0, host);
  await once(server, "listening");
  context.after(() => void server.close());
  return { port: (server.address() as AddressInfo).port };
}

/** A job after its end. */
async function lastOf({ api }: OrchestratorProcess, jobId: string): Promise<Job | undefined> {
  let last: Job | undefined;
  const signal = AbortSignal.timeout(2 * lifeSeconds * 1000);
  for await (const { job } of api.watch({ jobId }, { signal })) last = job;
  return last;
}

test("systemctl start, reload, restart, stop, an upgrade and a removal: jobs of the service keep running, in one attempt", {
  skip: noLibvirt,
}, async (context) => {
  const gateway = await gatewayAddress();
  const { port } = await servePackage(context, gateway);
  const debian = `local_path: ${await guestImage("debian")}, nocloud: true, defaults: { cpu: 1, ram_mb: 1024, disk_gb: 4 }`;
  const setup = makeSetup(context, `default_label: debian\nimages:\n  debian: { ${debian} }\n`, [
    ...[
      "--hypervisor",
      "libvirt",
      "--libvirt-virt-type",
      "qemu",
      "--stop-timeout",
      "3s",
      "--max-attempts",
      "1",
    ],
    ...["--boot-timeout", "10m", "--silence-timeout", "5m", "--runner-listen", `${gateway}:0`],
    ...["--guest-host-ports", String(port)],
  ]);
  const orchestrator = await startOrchestrator(setup);
  const script = `set -- http://${gateway}:${port}/\n${readFileSync(lifeScript, "utf8")}`;
  const id = await submit(orchestrator, { script, timeout_seconds: lifeSeconds });
  const job = await lastOf(orchestrator, id);
  const log = (await readLog(orchestrator, id)).toString();
  assert.equal(job?.state, "succeeded", `${job?.verdict?.message}\n${log}`);
  const facts = new Map(
    log
      .split("\n")
      .map((line) => /^([a-z ]+): (.*)$/.exec(line))
      .filter((match) => match !== null)
      .map(([, name = "", fact = ""]) => [name, fact]),
  );
  assert.equal(facts.get("started"), "notify all active running");
  assert.equal(facts.get("status"), "Serving on http://127.0.0.1:7410");
  assert.equal(facts.get("reload"), "reloaded: labels or sizes changed");
  assert.match(facts.get("wrong reload") ?? "", /^Not reloaded: MAX_HOLDS.*\(and 1 more\)$/);
  assert.equal(facts.get("restart"), "another process, and the job of before");
  assert.equal(facts.get("upgrade"), "another process, and the job of before");
  assert.equal(facts.get("stop"), "inactive success, and the job goes on");
  assert.equal(facts.get("job one"), "attempt 1, complete, failed starts 0");
  assert.match(facts.get("drain") ?? "", /^Host is empty and starts no more jobs\./);
  assert.equal(facts.get("remove"), "job two was let end");
  assert.equal(facts.get("removed"), "no guest is left");
});
