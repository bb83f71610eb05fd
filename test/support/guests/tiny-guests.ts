import assert from "node:assert/strict";
import { chmodSync, copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Afterwards, makeSetup, type OrchestratorSetup } from "../orchestrator.ts";
import { domainNames, gatewayAddress, guestImage } from "./libvirt.ts";

/** The size of a guest of the tiny image, as an image map has it. */
export const tinyDefaults = "defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 }";

/**
 * A set-up whose jobs run in guests of the tiny image, under software emulation, on the system's libvirt. `images` holds further
 * lines of the image map, one image each.
 */
export async function tinySetup(
  context: Afterwards,
  flags: readonly string[],
  images = "",
): Promise<OrchestratorSetup> {
  const tiny = `  tiny: { local_path: ${await guestImage("tiny")}, nocloud: true, ${tinyDefaults} }\n`;
  return makeSetup(context, `default_label: tiny\nimages:\n${tiny}${images}`, [
    ...["--hypervisor", "libvirt", "--libvirt-virt-type", "qemu", "--stop-timeout", "3s"],
    ...["--runner-listen", `${await gatewayAddress()}:0`, ...flags],
  ]);
}

/**
 * Copies of the tiny image for further entries of an image map, which allows one entry for each file. Removed after
 * the test.
 */
export async function copyTinyImage(context: Afterwards, names: readonly string[]): Promise<string[]> {
  const tiny = await guestImage("tiny");
  const directory = mkdtempSync("/var/tmp/solstice-images-");
  context.after(async () => rmSync(directory, { recursive: true }));
  chmodSync(directory, 0o711);
  return names.map((name) => {
    const path = join(directory, `${name}.qcow2`);
    copyFileSync(tiny, path);
    return path;
  });
}

/** Asserts that no domain, file or libvirt log of these jobs' guests is left, and no file of any other guest. */
export async function assertGone({ dataDir }: OrchestratorSetup, ...jobIds: string[]): Promise<void> {
  const domains = await domainNames();
  assert.deepEqual(readdirSync(join(dataDir, "guests")), []);
  for (const id of jobIds) {
    assert.ok(!domains.includes(`job-${id}`), `domain job-${id} is left`);
    assert.ok(!existsSync(`/var/log/libvirt/qemu/job-${id}.log`), `libvirt's log of job-${id} is left`);
  }
}
