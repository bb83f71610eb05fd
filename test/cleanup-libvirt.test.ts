/** Time limits, cancels and what always runs, in real guests: the tiny image, under software emulation. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readLog, submit, untilEnd, untilLogged, untilState } from "./support/jobs.ts";
import { domainNames, gatewayAddress, guestImage, noLibvirt } from "./support/libvirt.ts";
import { makeSetup, startOrchestrator } from "./support/orchestrator.ts";

const collect = { name: "collect", run: "echo collecting", always: true };
const never = { name: "never", run: "echo never" };

test("in a guest: a step out of time and one that is cancelled are ended, and what always runs runs", {
  skip: noLibvirt,
}, async (context) => {
  const imageMap = `
default_label: tiny
images:
  tiny: { local_path: ${await guestImage("tiny")}, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;
  const setup = makeSetup(context, imageMap, [
    ...["--hypervisor", "libvirt", "--libvirt-virt-type", "qemu", "--max-concurrency", "1"],
    ...["--runner-listen", `${await gatewayAddress()}:0`, "--stop-timeout", "3s"],
  ]);
  const orchestrator = await startOrchestrator(setup);

  const stubborn = "trap '' TERM; echo begun; while :; do sleep 1; done";
  const slow = { name: "slow", run: stubborn, timeout_seconds: 2 };
  const late = await untilEnd(orchestrator, await submit(orchestrator, { steps: [slow, never, collect] }));
  assert.deepEqual([late.state, late.verdict?.reason], ["timed_out", "step_timeout"]);
  assert.match(
    (await readLog(orchestrator, late.id)).toString(),
    /^begun\n(Killed\n)?solstice: .*limit of 2 s\ncollecting\n$/,
  );

  const heeds = "trap 'echo going; exit 1' TERM; echo begun; while :; do sleep 1; done";
  const running = await submit(orchestrator, { steps: [{ name: "work", run: heeds }, never, collect] });
  await untilLogged(orchestrator, running, "begun");
  await orchestrator.api.cancel({ jobId: running });
  const ended = await untilEnd(orchestrator, running);
  assert.equal(ended.state, "cancelled");
  assert.match(
    (await readLog(orchestrator, running)).toString(),
    /^begun\n(Terminated\n)?going\ncollecting\n$/,
  );
  assert.equal(ended.log?.completeness, "complete");

  const booting = await submit(orchestrator, { steps: [never, collect] });
  await untilState(orchestrator, booting, "booting");
  await orchestrator.api.cancel({ jobId: booting });
  const early = await untilEnd(orchestrator, booting);
  assert.deepEqual(
    [early.state, early.steps.map((step) => step.state)],
    ["cancelled", ["skipped", "skipped"]],
  );
  const domains = await domainNames();
  for (const id of [late.id, running, booting]) assert.ok(!domains.includes(`job-${id}`));
  assert.deepEqual(readdirSync(join(setup.dataDir, "guests")), []);
});
