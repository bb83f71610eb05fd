import { existsSync } from "node:fs";
import { join } from "node:path";
import { guestName } from "../../../src/core/job/job.ts";
import type { RunCommand } from "../../../src/host/command.ts";
import { guestsDirectory, readGuestDirectories } from "../../../src/hypervisor/guest-directories.ts";
import { guestPaths } from "../../../src/hypervisor/zones/guest-paths.ts";
import { readSlot } from "../../../src/hypervisor/zones/network/read-slot.ts";
import { slotOfVnic, vnicPrefix } from "../../../src/hypervisor/zones/network/slots.ts";
import { parseZoneList } from "../../../src/hypervisor/zones/zone/zone-list.ts";
import { filesIn } from "../host-trouble.ts";
import type { ZonesNetwork, ZonesPlace } from "./place.ts";

/**
 * The parts of a job on the host, found with the commands of illumos: its zone, datasets, files, and links that
 * belong to no guest.
 */
export async function whatIsLeft(run: RunCommand, place: ZonesPlace, jobId: string): Promise<string[]> {
  const name = guestName(jobId);
  const zones = parseZoneList((await run("zoneadm", ["list", "-cp"])).stdout);
  const listed = await lines(run, "zfs", ["list", "-H", "-o", "name,volsize", "-r", place.settings.pool]);
  return [
    ...zones.filter((zone) => zone.name === name).map(({ state }) => `a zone (${state})`),
    ...listed.filter((dataset) => dataset.includes(name)),
    ...filesOf(place, jobId),
    ...(await linkOf(run, place, jobId)),
    ...(await linksOfNobody(run, place)),
  ];
}

function filesOf({ dataDir }: ZonesPlace, jobId: string): string[] {
  const { directory } = guestPaths(guestsDirectory(dataDir), jobId);
  // The moment when a console appears depends on timing.
  return [...(existsSync(directory) ? [directory] : []), ...filesIn(directory, ["console.log"])];
}

/** The link of the guest whose slot is recorded, with the link's permissions. */
async function linkOf(run: RunCommand, { ownerId, dataDir }: ZonesPlace, jobId: string): Promise<string[]> {
  const slot = await readSlot(guestPaths(guestsDirectory(dataDir), jobId).slot);
  const link = `${vnicPrefix(ownerId)}${slot}`;
  if (slot === null || !(await vnics(run)).includes(link)) return [];
  const properties = ["-c", "-o", "property,value", "-p", "protection,allowed-ips", link];
  return [link, ...(await lines(run, "dladm", ["show-linkprop", ...properties]))];
}

/** A link has no owner field, but each of ours belongs to a slot that a directory records. */
async function linksOfNobody(run: RunCommand, { ownerId, dataDir }: ZonesPlace): Promise<string[]> {
  const directories = await readGuestDirectories(guestsDirectory(dataDir));
  const slots = await Promise.all(directories.map(({ path }) => readSlot(join(path, "slot"))));
  return (await vnics(run)).filter((name) => {
    const slot = slotOfVnic(ownerId, name);
    return slot !== null && !slots.includes(slot);
  });
}

function vnics(run: RunCommand): Promise<string[]> {
  return lines(run, "dladm", ["show-vnic", "-p", "-o", "link"]);
}

/** Removes a link with everything above it. Missing parts are skipped. */
export async function removeNetwork(
  run: RunCommand,
  network: Pick<ZonesNetwork, "link" | "vnic">,
): Promise<void> {
  const accept = { acceptExitCodes: [0, 1] };
  await run("ipadm", ["delete-addr", `${network.vnic}/v4`], accept);
  await run("ipadm", ["delete-if", network.vnic], accept);
  const cards = await lines(run, "dladm", ["show-vnic", "-p", "-o", "link,over"]);
  for (const card of cards.map((line) => line.split(":"))) {
    if (card[1] === network.link) await run("dladm", ["delete-vnic", card[0] ?? ""], accept);
  }
  await run("dladm", ["delete-etherstub", network.link], accept);
}

async function lines(run: RunCommand, program: string, args: readonly string[]): Promise<string[]> {
  const { stdout } = await run(program, args);
  return stdout.split("\n").filter((line) => line !== "");
}
