import { createHash } from "node:crypto";
import { SolsticeError } from "../../../core/errors.ts";

/** The addresses for guests: their number limits the number of guests at once. */
export interface SlotAddresses {
  /** The first and the last address, both included, as in `10.88.0.2`. */
  readonly first: string;
  readonly last: string;
  /** Addresses within the range that are in use otherwise: the gateway's, the host's. */
  readonly taken: readonly string[];
}

/** The network settings that a slot determines: the same for every guest in it. */
export interface GuestCard {
  readonly slot: number;
  readonly vnic: string;
  readonly macAddress: string;
  readonly address: string;
}

/** Largest number of slots, however large the range is. */
export const maxSlots = 4096;

/**
 * Prefix of an installation's VNICs; a number follows, because a link's name must end with one. The letter at the end
 * of the prefix separates that number from the digits before it: dladm rejects a number that begins with a zero, such
 * as 07.
 */
export function vnicPrefix(ownerId: string): string {
  return `sol${ownerHash(ownerId).toString("hex")}v`;
}

/** Returns the slot in a VNIC's name; null for a name of another form. */
export function slotOfVnic(ownerId: string, name: string): number | null {
  const prefix = vnicPrefix(ownerId);
  if (!name.startsWith(prefix) || !/^(0|[1-9]\d{0,3})$/.test(name.slice(prefix.length))) return null;
  return Number(name.slice(prefix.length));
}

/** Returns the card of a slot; null for a slot beyond the addresses. Its hardware address is locally administered (02). */
export function cardOfSlot(ownerId: string, addresses: SlotAddresses, slot: number): GuestCard | null {
  const address = addressOfSlot(addresses, slot);
  if (address === null || slot >= maxSlots) return null;
  const bytes = [0x02, ...ownerHash(ownerId), slot >> 8, slot & 0xff];
  const macAddress = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  return { slot, vnic: `${vnicPrefix(ownerId)}${slot}`, macAddress, address };
}

/** Returns the lowest free slot. Throws `hypervisor_failed` when every address is in use. */
export function freeSlot(addresses: SlotAddresses, used: ReadonlySet<number>): number {
  for (let slot = 0; slot < maxSlots && addressOfSlot(addresses, slot) !== null; slot += 1) {
    if (!used.has(slot)) return slot;
  }
  const range = `${addresses.first}-${addresses.last}`;
  throw new SolsticeError("hypervisor_failed", `All addresses of ${range} are in use by guests.`, {
    remedy: "Widen ZONES_ADDRESSES (and ZONES_SUBNET), or lower MAX_CONCURRENCY and MAX_HOLDS.",
  });
}

/** Converts an address from dladm's form, without leading zeros, to the form of {@link GuestCard}. */
export function normaliseMac(text: string): string {
  return text
    .split(":")
    .map((byte) => byte.toLowerCase().padStart(2, "0"))
    .join(":");
}

function addressOfSlot({ first, last, taken }: SlotAddresses, slot: number): string | null {
  let left = slot;
  const skipped = new Set(taken.map(numberOf));
  for (let number = numberOf(first); number <= numberOf(last); number += 1) {
    if (skipped.has(number)) continue;
    if (left === 0) return textOf(number);
    left -= 1;
  }
  return null;
}

function numberOf(address: string): number {
  return address.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
}

function textOf(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
}

function ownerHash(ownerId: string): Buffer {
  return createHash("sha256").update(ownerId).digest().subarray(0, 3);
}
