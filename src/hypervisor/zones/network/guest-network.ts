import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ZonesConfig } from "../../../config/zones-config.ts";
import { readGuestDirectories } from "../../guest-directories.ts";
import type { Seed } from "../../hypervisor.ts";
import { guestPaths } from "../guest-paths.ts";
import type { ZonesHost } from "../host.ts";
import { listVnics } from "./links.ts";
import { nameserversOf } from "./nameservers.ts";
import { readSlot } from "./read-slot.ts";
import { cardOfSlot, freeSlot, type GuestCard, type SlotAddresses, slotOfVnic } from "./slots.ts";

/** What guests may have as addresses: the gateway is nobody's, also where the range has it. */
export function guestAddresses({ addresses, gateway }: ZonesConfig): SlotAddresses {
  return { ...addresses, taken: [gateway] };
}

/** The card of the guest whose slot is written down; null where none is. */
export async function readCard(host: ZonesHost, jobId: string): Promise<GuestCard | null> {
  const slot = await readSlot(guestPaths(host.guestsDir, jobId).slot);
  return slot === null ? null : cardOfSlot(host.ownerId, guestAddresses(host.settings), slot);
}

/**
 * Gives a new guest a free slot and writes it down in its directory. A slot is taken while a directory says so, or while its
 * link is there, as where somebody removed the directory of a running guest. Throws `hypervisor_failed` where none is free.
 */
export function takeSlot(host: ZonesHost, jobId: string): Promise<GuestCard> {
  // One after the other, or two guests would find the same slot free.
  return host.slotTurn(async () => {
    const addresses = guestAddresses(host.settings);
    const slot = freeSlot(addresses, await usedSlots(host));
    const { slot: path } = guestPaths(host.guestsDir, jobId);
    await writeFile(`${path}.partial`, `${slot}\n`);
    await rename(`${path}.partial`, path);
    const card = cardOfSlot(host.ownerId, addresses, slot);
    if (card === null) throw new TypeError(`Slot ${slot} was free and has no address.`);
    return card;
  });
}

async function usedSlots(host: ZonesHost): Promise<Set<number>> {
  const directories = await readGuestDirectories(host.guestsDir);
  const written = await Promise.all(directories.map(({ path }) => readSlot(join(path, "slot"))));
  const linked = (await listVnics(host)).map(({ name }) => slotOfVnic(host.ownerId, name));
  return new Set([...written, ...linked].filter((slot) => slot !== null));
}

/** The seed with what the guest needs to know of its network. */
export async function withNetwork(settings: ZonesConfig, seed: Seed, card: GuestCard): Promise<Seed> {
  const { subnet, gateway } = settings;
  const nameservers = settings.nameservers ?? (await hostNameservers());
  const { macAddress, address } = card;
  return { ...seed, network: { macAddress, address, prefix: subnet.prefix, gateway, nameservers } };
}

async function hostNameservers(): Promise<string[]> {
  return nameserversOf(await readFile("/etc/resolv.conf", "utf8").catch(() => ""));
}
