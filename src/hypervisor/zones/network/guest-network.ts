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

/** Addresses for guests, without the gateway's even if the range contains it. */
export function guestAddresses({ addresses, gateway }: ZonesConfig): SlotAddresses {
  return { ...addresses, taken: [gateway] };
}

/** Returns the card of the guest's recorded slot; null without a slot. */
export async function readCard(host: ZonesHost, jobId: string): Promise<GuestCard | null> {
  const slot = await readSlot(guestPaths(host.guestsDir, jobId).slot);
  return slot === null ? null : cardOfSlot(host.ownerId, guestAddresses(host.settings), slot);
}

/**
 * Assigns a free slot to a new guest and records it in the guest's directory. A slot is in use while a directory
 * records it, or while its link exists, for example after a running guest's directory was removed. Throws
 * `hypervisor_failed` when no slot is free.
 */
export function takeSlot(host: ZonesHost, jobId: string): Promise<GuestCard> {
  // One call at a time; otherwise two guests could get the same free slot.
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

/** Returns the seed with the guest's network settings. */
export async function withNetwork(settings: ZonesConfig, seed: Seed, card: GuestCard): Promise<Seed> {
  const { subnet, gateway } = settings;
  const nameservers = settings.nameservers ?? (await hostNameservers());
  const { macAddress, address } = card;
  return { ...seed, network: { macAddress, address, prefix: subnet.prefix, gateway, nameservers } };
}

async function hostNameservers(): Promise<string[]> {
  return nameserversOf(await readFile("/etc/resolv.conf", "utf8").catch(() => ""));
}
