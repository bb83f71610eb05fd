/** Each form of a seed, read by real guests, through the real orchestrator: on the system's libvirt, and in zones of the stand-in. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openStandIn } from "../src/hypervisor/zones/testing/stand-in/stand-in.ts";
import { readLog, submit, untilEnd } from "./support/jobs.ts";
import { gatewayAddress, guestImage, noLibvirt } from "./support/libvirt.ts";
import { makeSetup, type OrchestratorProcess, startOrchestrator } from "./support/orchestrator.ts";

const skip = noLibvirt;

/** An image map with an image of its own for each label, all the same disk. */
function imageMapOf(
  context: TestContext,
  images: { path: string; ramMb: number; seeds: Record<string, string> },
): string {
  const directory = mkdtempSync("/var/tmp/solstice-seeds-");
  chmodSync(directory, 0o711);
  context.after(() => rmSync(directory, { recursive: true }));
  const entries = Object.entries(images.seeds).map(([label, seed]) => {
    const path = join(directory, `${label}.qcow2`);
    copyFileSync(images.path, path);
    return `  ${label}: { local_path: ${path}, seed: ${seed}, defaults: { cpu: 1, ram_mb: ${images.ramMb}, disk_gb: 3 } }\n`;
  });
  return `default_label: ${Object.keys(images.seeds)[0]}\nimages:\n${entries.join("")}`;
}

const patient = ["--stop-timeout", "3s", "--max-attempts", "1", "--boot-timeout", "10m"];

async function startOnLibvirt(context: TestContext, imageMap: string): Promise<OrchestratorProcess> {
  const setup = makeSetup(context, imageMap, [
    ...["--hypervisor", "libvirt", "--libvirt-virt-type", "qemu", ...patient],
    ...["--runner-listen", `${await gatewayAddress()}:0`],
  ]);
  return startOrchestrator(setup);
}

/** On the stand-in for an illumos host, whose guests find this machine's loopback at their gateway's address. */
async function startInZones(context: TestContext, imageMap: string): Promise<OrchestratorProcess> {
  const standIn = await openStandIn({ shutdownSeconds: 30 });
  context.after(() => standIn.close());
  const port = await freePort();
  const setup = makeSetup(context, imageMap, [
    ...["--hypervisor", "zones", "--zones-nameservers", "192.0.2.53", ...patient],
    ...["--runner-listen", `127.0.0.1:${port}`, "--runner-url", `http://10.88.0.1:${port}`],
  ]);
  return startOrchestrator(setup, [], standIn.environment);
}

/** A port that was free a moment ago: guests are told it before anybody listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
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
    script: `cat /proc/sys/kernel/hostname; ${show}; ls -d /run/solstice/started-* 2>/dev/null || :; ${also}`,
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
  const map = imageMapOf(context, { path: await guestImage("tiny"), ramMb: 128, seeds });
  const orchestrator = await startOnLibvirt(context, map);
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
  const map = imageMapOf(context, { path: await guestImage("debian"), ramMb: 512, seeds });
  const orchestrator = await startOnLibvirt(context, map);
  const seen = await seenBy(orchestrator, "debian", {
    bytes: "skip=54 count=5",
    also: "ls /var/lib/cloud/instance/sem /var/lib/cloud/instance/scripts",
  });
  assert.deepEqual(seen.slice(1, 3), ["FAT12", "/run/solstice/started-ID-1"]);
  assert.ok(!seen.includes("config_scripts_user"), seen.join("\n"));
  assert.ok(seen.includes("part-001"), "cloud-init knows the script too");
});

test("in zones the tiny guest reads every form from a disk, with its static address on ISO and FAT", async (context) => {
  const seeds = { disc: "iso", fat: "vfat", archive: "cpio" };
  const map = imageMapOf(context, { path: await guestImage("tiny"), ramMb: 192, seeds });
  const orchestrator = await startInZones(context, map);
  const also = "ip -4 addr show eth0 | grep -o 'inet [0-9./]*'; cat /etc/resolv.conf";
  const address = /^inet 10\.88\.0\.\d+\/24\nnameserver 192\.0\.2\.53$/;
  const disc = await seenBy(orchestrator, "disc", { bytes: "skip=32769 count=5", also });
  assert.deepEqual(disc.slice(0, 2), ["job-ID", "CD001"]);
  assert.match(disc.slice(2).join("\n"), address);
  const fat = await seenBy(orchestrator, "fat", { bytes: "skip=54 count=5", also });
  assert.deepEqual(fat.slice(0, 3), ["job-ID", "FAT12", "/run/solstice/started-ID-1"]);
  assert.match(fat.slice(3).join("\n"), address);
  // No guest of illumos, it leaves that part of the script out, and asks the DHCP that only the stand-in has.
  const archive = await seenBy(orchestrator, "archive", { bytes: "count=6" });
  assert.deepEqual(archive, ["job-ID", "070707", "/run/solstice/started-ID-1"]);
});
