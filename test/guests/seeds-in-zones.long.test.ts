/**
 * Tests each format of a seed with real guests in zones of the stand-in; `failures-libvirt.test.ts` covers the
 * formats of libvirt.
 */
import assert from "node:assert/strict";
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openStandIn } from "../illumos/stand-in.ts";
import { guestImage } from "../support/guests/libvirt.ts";
import { zonesFlags } from "../support/guests/zones.ts";
import { readLog, submit, untilEnd } from "../support/jobs.ts";
import { makeSetup, type OrchestratorProcess, startOrchestrator } from "../support/orchestrator.ts";
import { sample } from "../support/sampling.ts";

/** An image map with a separate image for each label, all with the same disk. */
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

const patient = ["--max-attempts", "1", "--boot-timeout", "10m"];

/** Starts an orchestrator on the stand-in for an illumos host. */
async function startInZones(context: TestContext, imageMap: string): Promise<OrchestratorProcess> {
  const standIn = await openStandIn({ shutdownSeconds: 30 });
  context.after(() => standIn.close());
  const setup = makeSetup(context, imageMap, [...(await zonesFlags()), ...patient]);
  return startOrchestrator(setup, [], standIn.environment);
}

/** Runs a job that prints its guest's name and a few bytes of its seed's disk, and returns its output. */
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

const showNetwork = "ip -4 addr show eth0 | grep -o 'inet [0-9./]*'; cat /etc/resolv.conf";

/** The checks of each format: the bytes of the seed's disk that the guest shows, a command, and the output of both. */
const forms: readonly { label: string; bytes: string; also?: string; shows: RegExp }[] = [
  {
    label: "disc",
    bytes: "skip=32769 count=5",
    also: showNetwork,
    shows: /^CD001\ninet 10\.88\.0\.\d+\/24\nnameserver 192\.0\.2\.53$/,
  },
  {
    label: "fat",
    bytes: "skip=54 count=5",
    also: showNetwork,
    shows: /^FAT12\n\/run\/solstice\/started-ID-1\ninet 10\.88\.0\.\d+\/24\nnameserver 192\.0\.2\.53$/,
  },
  // Not a guest of illumos: it skips that part of the script, and uses DHCP, which only the stand-in has.
  { label: "archive", bytes: "count=6", shows: /^070707\n\/run\/solstice\/started-ID-1$/ },
];

test("in zones the tiny guest reads every form from a disk, with its static address on ISO and FAT", async (context) => {
  const seeds = { disc: "iso", fat: "vfat", archive: "cpio" };
  const map = imageMapOf(context, { path: await guestImage("tiny"), ramMb: 192, seeds });
  const orchestrator = await startInZones(context, map);
  for (const { label, shows, ...show } of sample("seeds in zones", forms, 1)) {
    await context.test(label, async () => {
      const [name, ...rest] = await seenBy(orchestrator, label, show);
      assert.equal(name, "job-ID");
      assert.match(rest.join("\n"), shows);
    });
  }
});
