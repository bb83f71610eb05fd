/** An orchestrator that ends at any moment, and the next one on the same host: what becomes of real guests. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { readLog, submit, untilEnd, untilJob, untilLogged, untilState } from "./support/jobs.ts";
import { domainNames, noLibvirt, virsh } from "./support/libvirt.ts";
import { startOrchestrator } from "./support/orchestrator.ts";
import { sample } from "./support/sampling.ts";
import { assertGone, tinySetup } from "./support/tiny-guests.ts";

const skip = noLibvirt;

for (const state of sample("kills", ["provisioning", "booting", "running", "finalizing"], 1)) {
  test(`kill -9 when a guest's job is ${state}: adopted or cleaned up, and it ends well`, {
    skip,
  }, async (context) => {
    const setup = await tinySetup(context, []);
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

/** Defines a domain of somebody else whose name looks like a guest's. */
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

test("three orchestrators, one after the other", { skip }, async (context) => {
  const setup = await tinySetup(context, ["--drain-timeout", "1s"]);
  const foreign = `job-foreign${process.pid}`;
  await plantForeignGuest(context, foreign);
  const first = await startOrchestrator(setup);
  const id = await submit(first, { script: "echo up; sleep 600" });
  await untilLogged(first, id, "up");

  await context.test(
    "on SIGTERM after the drain time, guests are shut down and the job is queued",
    async () => {
      assert.equal(await first.stop("SIGTERM"), 0, first.log());
      await assertGone(setup, id);
    },
  );

  const second = await startOrchestrator(setup);
  await context.test("the next start tries the job again", async () => {
    const { job } = await second.api.get({ jobId: id });
    assert.ok(job?.transitions.slice(1).some(({ to }) => to === "queued"));
    await untilState(second, id, "booting");
  });

  await context.test(
    "a start removes what an unknown job left, and never touches what is not ours",
    async () => {
      assert.ok((await domainNames()).includes(`job-${id}`));
      await second.stop("SIGKILL");
      // The store is lost with its job, as after a restore from an old backup: the guest is ours, and no job's.
      rmSync(join(setup.dataDir, "state"), { recursive: true });
      const third = await startOrchestrator(setup);
      await assertGone(setup, id);
      assert.ok((await domainNames()).includes(foreign));
      assert.equal(await third.stop("SIGTERM"), 0);
    },
  );
});
