/** Tests orchestrators that end at any moment, and their successors on the same host: the fate of real guests. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { domainNames, noLibvirt, virsh } from "../support/guests/libvirt.ts";
import { assertGone, tinySetup } from "../support/guests/tiny-guests.ts";
import { readLog, submit, untilEnd, untilJob, untilLogged, untilState } from "../support/jobs.ts";
import { startOrchestrator } from "../support/orchestrator.ts";
import { sample } from "../support/sampling.ts";

const skip = noLibvirt;

/** Defines a domain of another owner whose name looks like a guest's. */
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

test("successive orchestrators on one host", { skip }, async (context) => {
  const setup = await tinySetup(context, ["--drain-timeout", "1s"]);
  const foreign = `job-foreign${process.pid}`;
  await plantForeignGuest(context, foreign);
  const first = await startOrchestrator(setup);
  const runnerListen = ["--runner-listen", new URL(first.runnerUrl).host];
  const [state = assert.fail()] = sample("kills", ["provisioning", "booting", "running", "finalizing"], 1);
  const adopted = await submit(first, { script: "echo begin; sleep 3; echo end" });
  if (state === "running") await untilLogged(first, adopted, "begin");
  else await untilJob(first, adopted, (job) => job.transitions.some(({ to }) => to === state));
  await first.stop("SIGKILL");
  const second = await startOrchestrator(setup, runnerListen);

  await context.test(
    `kill -9 when a guest's job is ${state}: adopted or cleaned up, and it ends well`,
    async () => {
      const job = await untilEnd(second, adopted);
      assert.equal(job.state, "succeeded", `${job.verdict?.message}\n${second.log()}`);
      assert.equal(job.attempt, 1, "the guest was adopted, not made again");
      assert.equal((await readLog(second, adopted)).toString(), "begin\nend\n");
      const console = await readLog(second, adopted, { stream: "console" });
      assert.match(console.toString(), /Linux version|solstice/);
      await assertGone(setup, adopted);
    },
  );

  const id = await submit(second, { script: "echo up; sleep 600" });
  await context.test(
    "on SIGTERM after the drain time, guests are shut down and the job is queued",
    async () => {
      await untilState(second, id, "booting");
      assert.ok((await domainNames()).includes(`job-${id}`));
      assert.equal(await second.stop("SIGTERM"), 0, second.log());
      await assertGone(setup, id);
    },
  );

  const third = await startOrchestrator(setup);
  await context.test("the next start retries the job", async () => {
    const { job } = await third.api.get({ jobId: id });
    assert.ok(job?.transitions.slice(1).some(({ to }) => to === "queued"));
    await untilState(third, id, "booting");
  });

  await context.test(
    "a start removes the guest of an unknown job, and never changes what is not ours",
    async () => {
      assert.ok((await domainNames()).includes(`job-${id}`));
      await third.stop("SIGKILL");
      // The store is lost with its job, as after a restore from an old backup: the guest is ours, but has no job.
      rmSync(join(setup.dataDir, "state"), { recursive: true });
      const fourth = await startOrchestrator(setup);
      await assertGone(setup, id);
      assert.ok((await domainNames()).includes(foreign));
      assert.equal(await fourth.stop("SIGTERM"), 0);
    },
  );
});
