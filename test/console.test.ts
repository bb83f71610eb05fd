/** The serial console of real guests: read while they run, and what a kernel says there named in the verdict. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readLog, submit, untilEnd, untilState } from "./support/jobs.ts";
import { gatewayAddress, guestImage, noLibvirt } from "./support/libvirt.ts";
import { makeSetup, type OrchestratorProcess, startOrchestrator } from "./support/orchestrator.ts";

/** Follows the console of a job that runs until it has `text`. */
async function untilOnConsole({ api }: OrchestratorProcess, jobId: string, text: string): Promise<void> {
  const end = new AbortController();
  const signal = AbortSignal.any([end.signal, AbortSignal.timeout(120_000)]);
  let seen = "";
  for await (const { data } of api.logs({ jobId, stream: "console", follow: true }, { signal })) {
    seen += Buffer.from(data).toString();
    if (seen.includes(text)) return end.abort();
  }
  assert.fail(`the console never had ${text}: ${seen.slice(-2000)}`);
}

test("a console is followed while its guest runs; a panic and a kill for want of memory are named", {
  skip: noLibvirt,
}, async (context) => {
  const imageMap = `
default_label: tiny
images:
  tiny: { local_path: ${await guestImage("tiny")}, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;
  const orchestrator = await startOrchestrator(
    makeSetup(context, imageMap, [
      ...["--hypervisor", "libvirt", "--libvirt-virt-type", "qemu", "--max-attempts", "1"],
      ...[
        "--runner-listen",
        `${await gatewayAddress()}:0`,
        "--stop-timeout",
        "3s",
        "--silence-timeout",
        "20s",
      ],
    ]),
  );
  const waiting = "echo on the console >/dev/console; until [ -e /tmp/go ]; do sleep 1; done";
  const followed = await submit(orchestrator, { script: waiting, timeout_seconds: 300 });
  await untilOnConsole(orchestrator, followed, "on the console");
  const { state } = await untilState(orchestrator, followed, "running");
  assert.equal(state, "running");
  await orchestrator.api.cancel({ jobId: followed });
  await untilEnd(orchestrator, followed);

  const crash = await submit(orchestrator, { script: "echo c >/proc/sysrq-trigger; sleep 60" });
  const crashed = await untilEnd(orchestrator, crash);
  assert.equal(crashed.verdict?.reason, "guest_crashed");
  assert.match(crashed.verdict?.message ?? "", /^The guest's kernel panicked: sysrq triggered crash\./);
  assert.equal(crashed.log?.completeness, "cut_short");
  const console = (await readLog(orchestrator, crash, { stream: "console" })).toString();
  assert.match(console, /Kernel panic - not syncing: sysrq triggered crash/);

  const hungry = await submit(orchestrator, { script: "echo eating; tail /dev/zero" });
  const eaten = await untilEnd(orchestrator, hungry);
  assert.equal(eaten.verdict?.reason, "step_failed", eaten.verdict?.message);
  assert.match(eaten.verdict?.message ?? "", /ran out of memory: its kernel killed process \d+ \(tail\)/);
  assert.match(
    (await readLog(orchestrator, hungry)).toString(),
    /^eating\n(.*\n)*solstice: .*ran out of memory/,
  );
});
