/** Two orchestrators that share one libvirt, as on a machine that plays two hosts: real guests, one PostgreSQL. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { submit, untilEnd, untilJob, untilLogged, untilState } from "./support/jobs.ts";
import { domainNames, gatewayAddress, guestImage, noLibvirt, virsh } from "./support/libvirt.ts";
import {
  makeSetup,
  type OrchestratorProcess,
  type OrchestratorSetup,
  startOrchestrator,
} from "./support/orchestrator.ts";
import { type PrivatePostgres, startPrivatePostgres } from "./support/private-postgres.ts";

let database: PrivatePostgres | undefined;
after(() => database?.stop());

async function hostSetup(context: TestContext, databaseUrl: string): Promise<OrchestratorSetup> {
  const imageMap = `
default_label: tiny
images:
  tiny: { local_path: ${await guestImage("tiny")}, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;
  return makeSetup(context, imageMap, [
    ...["--hypervisor", "libvirt", "--libvirt-virt-type", "qemu", "--stop-timeout", "3s"],
    ...["--runner-listen", `${await gatewayAddress()}:0`],
    ...["--database-url", databaseUrl, "--lease-timeout", "3s"],
  ]);
}

async function hostIdOf(orchestrator: OrchestratorProcess): Promise<string> {
  const { hosts } = await orchestrator.api.capacity({});
  return hosts[0]?.hostId ?? "";
}

test("a lost host's guest makes room for the next attempt on the same libvirt", {
  skip: noLibvirt,
}, async (context) => {
  database = await startPrivatePostgres();
  const url = await database.createDatabase();
  const setups = [await hostSetup(context, url), await hostSetup(context, url)] as const;
  const hosts = [await startOrchestrator(setups[0]), await startOrchestrator(setups[1])] as const;
  const jobId = await submit(hosts[0], { script: "echo started; sleep 1000" });
  const { hostId } = await untilState(hosts[0], jobId, "running");
  const lost = (await hostIdOf(hosts[0])) === hostId ? 0 : 1;
  const other = hosts[1 - lost] ?? assert.fail();
  await untilLogged(other, jobId, "started");
  await hosts[lost]?.stop("SIGKILL");

  await untilJob(other, jobId, (job) => job.attempt === 2 && job.state === "running");
  assert.match(await virsh("dumpxml", `job-${jobId}`), new RegExp(`owner="${await hostIdOf(other)}"`));
  const setup = setups[lost] ?? assert.fail();
  const back = await startOrchestrator(setup);
  assert.deepEqual(readdirSync(join(setup.dataDir, "guests")), [], "files of the lost host's guest");
  // It is another host's now, and goes on.
  assert.equal((await untilState(back, jobId, "running")).attempt, 2);
  await back.api.cancel({ jobId });
  assert.equal((await untilEnd(back, jobId)).state, "cancelled");
  assert.ok(!(await domainNames()).includes(`job-${jobId}`));
});
