/**
 * Tests a host without guests and two orchestrators that share one libvirt, as on a machine that serves as two hosts:
 * real guests, one PostgreSQL.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { domainNames, gatewayAddress, guestImage, noLibvirt, virsh } from "../support/guests/libvirt.ts";
import { tinyDefaults } from "../support/guests/tiny-guests.ts";
import { submit, untilEnd, untilJob, untilLogged, untilState } from "../support/jobs.ts";
import {
  makeSetup,
  type OrchestratorProcess,
  type OrchestratorSetup,
  startOrchestrator,
} from "../support/orchestrator.ts";
import { type SharedPostgres, sharedPostgres } from "../support/servers/servers.ts";

let database: SharedPostgres | undefined;
after(() => database?.stop());

async function hostSetup(
  context: TestContext,
  databaseUrl: string,
  flags: readonly string[],
): Promise<OrchestratorSetup> {
  const tiny = `local_path: ${await guestImage("tiny")}, backend: libvirt, nocloud: true, ${tinyDefaults}`;
  return makeSetup(context, `default_label: tiny\nimages:\n  tiny: { ${tiny} }\n`, [
    ...["--database-url", databaseUrl, "--lease-timeout", "3s", ...flags],
  ]);
}

const withoutGuests = ["--hypervisor", "noop", "--noop-delay-ms", "10", "--runner-listen", "127.0.0.1:0"];

async function hostIdOf(orchestrator: OrchestratorProcess): Promise<string> {
  const { hosts } = await orchestrator.api.capacity({});
  return hosts[0]?.hostId ?? "";
}

test("hosts that share a store and a libvirt", { skip: noLibvirt }, async (context) => {
  database = await sharedPostgres();
  const url = await database.createDatabase();
  const plain = await startOrchestrator(await hostSetup(context, url, withoutGuests));
  const plainId = await hostIdOf(plain);
  const jobId = await submit(plain, { script: "echo started; sleep 1000" });
  assert.equal((await plain.api.explain({ jobId })).constraint, "no_backend");

  const able = [
    ...["--hypervisor", "libvirt", "--libvirt-virt-type", "qemu", "--stop-timeout", "3s"],
    ...["--runner-listen", `${await gatewayAddress()}:0`],
  ];
  const setups = [await hostSetup(context, url, able), await hostSetup(context, url, able)] as const;
  const hosts = [await startOrchestrator(setups[0]), await startOrchestrator(setups[1])] as const;
  const hostIds = [await hostIdOf(hosts[0]), await hostIdOf(hosts[1])];

  await context.test("once a host with the backend has started it runs the job", async () => {
    // Its guest need not reach its job here: the next job's guest does.
    const { hostId } = await untilState(plain, jobId, "booting");
    assert.ok(hostIds.includes(hostId), hostId);
  });
  const lost = hostIds.indexOf((await plain.api.get({ jobId })).job?.hostId ?? "");
  const other = hosts[1 - lost] ?? assert.fail();
  const otherId = hostIds[1 - lost] ?? assert.fail();

  await context.test("a lost host's guest makes room for the next attempt on the same libvirt", async () => {
    await hosts[lost]?.stop("SIGKILL");
    await untilJob(other, jobId, (job) => job.attempt === 2 && job.state === "running");
    assert.match(await virsh("dumpxml", `job-${jobId}`), new RegExp(`owner="${otherId}"`));
    const setup = setups[lost] ?? assert.fail();
    const back = await startOrchestrator(setup);
    assert.deepEqual(readdirSync(join(setup.dataDir, "guests")), [], "files of the lost host's guest");
    // The job now belongs to another host, and keeps running.
    assert.equal((await untilState(back, jobId, "running")).attempt, 2);
    await untilLogged(back, jobId, "started");
    await back.api.cancel({ jobId });
    assert.equal((await untilEnd(back, jobId)).state, "cancelled");
    assert.ok(!(await domainNames()).includes(`job-${jobId}`));
    assert.equal(await back.stop("SIGTERM"), 0);
  });

  await context.test("hosts with the backend that have left stay listed", async () => {
    assert.equal(await other.stop("SIGTERM"), 0);
    const { constraint, message } = await plain.api.explain({
      jobId: await submit(plain, { script: "true" }),
    });
    assert.equal(constraint, "no_backend");
    assert.match(message, new RegExp(`: host ${plainId} has noop\\. .*${otherId} served it until`));
  });
});
