/** Each form of a seed, read by real guests on the system's libvirt, through the real orchestrator. */
import assert from "node:assert/strict";
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { readLog, submit, untilEnd } from "./support/jobs.ts";
import { gatewayAddress, guestImage, noLibvirt } from "./support/libvirt.ts";
import { makeSetup, type OrchestratorProcess, startOrchestrator } from "./support/orchestrator.ts";

const skip = noLibvirt;

/** Starts an orchestrator with one image of its own for each label, all the same disk. */
async function startWith(
  context: TestContext,
  images: { path: string; ramMb: number; seeds: Record<string, string> },
): Promise<OrchestratorProcess> {
  const directory = mkdtempSync("/var/tmp/solstice-seeds-");
  chmodSync(directory, 0o711);
  context.after(() => rmSync(directory, { recursive: true }));
  const entries = Object.entries(images.seeds).map(([label, seed]) => {
    const path = join(directory, `${label}.qcow2`);
    copyFileSync(images.path, path);
    return `  ${label}: { local_path: ${path}, seed: ${seed}, defaults: { cpu: 1, ram_mb: ${images.ramMb}, disk_gb: 3 } }\n`;
  });
  const map = `default_label: ${Object.keys(images.seeds)[0]}\nimages:\n${entries.join("")}`;
  const setup = await makeSetup(context, map, [
    ...["--hypervisor", "libvirt", "--libvirt-virt-type", "qemu", "--stop-timeout", "3s"],
    ...["--max-attempts", "1", "--boot-timeout", "10m"],
    ...["--runner-listen", `${await gatewayAddress()}:0`],
  ]);
  return startOrchestrator(setup);
}

/** Runs a job that says its guest's name and shows a few bytes of its seed's disk, and returns what it said. */
async function seenBy(
  orchestrator: OrchestratorProcess,
  label: string,
  { bytes, also = ":" }: { bytes: string; also?: string },
): Promise<string[]> {
  const show = `dd if=/dev/vdb bs=1 ${bytes} 2>/dev/null; echo`;
  const id = await submit(orchestrator, {
    runs_on: label,
    script: `cat /proc/sys/kernel/hostname; ${show}; ls -d /run/solstice/started-*; ${also}`,
  });
  const job = await untilEnd(orchestrator, id);
  assert.equal(job.state, "succeeded", job.verdict?.message);
  assert.equal(job.log?.completeness, "complete");
  const lines = (await readLog(orchestrator, id)).toString().trim().split("\n");
  return lines.map((line) => line.replaceAll(id, "ID"));
}

test("the tiny guest runs jobs from a script on FAT, and from one in a cpio archive", {
  skip,
}, async (context) => {
  const seeds = { fat: "vfat", archive: "cpio" };
  const orchestrator = await startWith(context, { path: await guestImage("tiny"), ramMb: 128, seeds });
  const [fat, archive] = await Promise.all([
    seenBy(orchestrator, "fat", { bytes: "skip=54 count=5" }),
    seenBy(orchestrator, "archive", { bytes: "count=6" }),
  ]);
  assert.deepEqual(fat, ["job-ID", "FAT12", "/run/solstice/started-ID-1"]);
  assert.deepEqual(archive, ["job-ID", "070707", "/run/solstice/started-ID-1"]);
});

test("cloud-init of Debian runs a job from a FAT seed, by its vendor-data and not late by the script", {
  skip,
}, async (context) => {
  const seeds = { debian: "vfat" };
  const orchestrator = await startWith(context, { path: await guestImage("debian"), ramMb: 512, seeds });
  const seen = await seenBy(orchestrator, "debian", {
    bytes: "skip=54 count=5",
    also: "ls /var/lib/cloud/instance/sem /var/lib/cloud/instance/scripts",
  });
  assert.deepEqual(seen.slice(1, 3), ["FAT12", "/run/solstice/started-ID-1"]);
  assert.ok(!seen.includes("config_scripts_user"), seen.join("\n"));
  assert.ok(seen.includes("part-001"), "cloud-init knows the script too");
});
