/**
 * Tests cloud-init of a real distribution, and a format of seed that its guests rarely get: Debian boots slowly under
 * emulation.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gatewayAddress, guestImage, noLibvirt } from "../support/guests/libvirt.ts";
import { readLog, submit, untilEnd } from "../support/jobs.ts";
import { makeSetup, startOrchestrator } from "../support/orchestrator.ts";

test("cloud-init of Debian runs a job from a FAT seed: with its vendor-data, and the script not late", {
  skip: noLibvirt,
}, async (context) => {
  const debian = `local_path: ${await guestImage("debian")}, seed: vfat, defaults: { cpu: 1, ram_mb: 512, disk_gb: 3 }`;
  const setup = makeSetup(context, `default_label: debian\nimages:\n  debian: { ${debian} }\n`, [
    ...["--hypervisor", "libvirt", "--libvirt-virt-type", "qemu", "--stop-timeout", "3s"],
    ...["--max-attempts", "1", "--boot-timeout", "10m", "--runner-listen", `${await gatewayAddress()}:0`],
  ]);
  const orchestrator = await startOrchestrator(setup);
  const script = `dd if=/dev/vdb bs=1 skip=54 count=5 2>/dev/null; echo; ls -d /run/solstice/started-*
ls /var/lib/cloud/instance/sem /var/lib/cloud/instance/scripts`;
  const id = await submit(orchestrator, { script });
  const job = await untilEnd(orchestrator, id);
  assert.equal(job.state, "succeeded", job.verdict?.message);
  assert.equal(job.log?.completeness, "complete");
  const seen = (await readLog(orchestrator, id)).toString().trim().split("\n");
  assert.deepEqual(seen.slice(0, 2), ["FAT12", `/run/solstice/started-${id}-1`]);
  assert.ok(!seen.includes("config_scripts_user"), seen.join("\n"));
  assert.ok(seen.includes("part-001"), "cloud-init found the script too");
});
