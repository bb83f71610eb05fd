import { createHash } from "node:crypto";
import { type Egress, egressKey } from "../../../core/image-map/egress.ts";
import { sharedPrefix } from "../mac-addresses.ts";

/**
 * The parts of a tap's name; a tap is the host's end of a guest's network card. The name contains owner, egress policy
 * and card: `sol` + 6 digits of the owner + 4 characters of the egress + 2 digits of the card. So one table can match
 * exactly our guests before the first of them exists. Linux allows at most fifteen characters.
 */
export interface TapName {
  readonly name: string;
  readonly egressCode: string;
  readonly macAddress: string;
}

const marker = "sol";
const egressCodeLength = 4;
const ownerBytes = { from: 2, to: 5 } as const;

/** Six hexadecimal digits of an installation, the same as in its cards' addresses. */
export function ownerCode(ownerId: string): string {
  return sharedPrefix(ownerId).split(":").slice(ownerBytes.from, ownerBytes.to).join("");
}

/** Prefix of all taps of an installation. */
export function tapPrefix(ownerId: string): string {
  return marker + ownerCode(ownerId);
}

/**
 * Four characters of a policy: its own name, or digits of its digest, so that they are the same after a restart with
 * another map.
 */
export function egressCode(egress: Egress): string {
  if (typeof egress === "string") return egress;
  return createHash("sha256").update(egressKey(egress)).digest("hex").slice(0, egressCodeLength);
}

/** Returns the tap's name for a guest with this card of the pool. */
export function tapName(ownerId: string, macAddress: string, egress: Egress): string {
  return tapPrefix(ownerId) + egressCode(egress) + macAddress.slice(-2);
}

/** Parses a tap's name; null for foreign taps. */
export function parseTapName(ownerId: string, name: string): TapName | null {
  const prefix = tapPrefix(ownerId);
  const match = /^([0-9a-z]{4})([0-9a-f]{2})$/.exec(name.slice(prefix.length));
  if (!name.startsWith(prefix) || match?.[1] === undefined) return null;
  return { name, egressCode: match[1], macAddress: sharedPrefix(ownerId) + match[2] };
}
