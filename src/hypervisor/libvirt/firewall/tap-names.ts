import { createHash } from "node:crypto";
import { type Egress, egressKey } from "../../../core/image-map/egress.ts";
import { sharedPrefix } from "../mac-addresses.ts";

/**
 * The host's end of a guest's network card, a tap, has a name that says whose guest it is, what it may reach, and which card
 * of the pool it has: `sol` + 6 digits of the owner + 4 characters of the egress + 2 digits of the card. So one table can
 * match all our guests before the first of them exists, and no other. Fifteen characters are the most that Linux allows.
 */
export interface TapName {
  readonly name: string;
  readonly egressCode: string;
  readonly macAddress: string;
}

const marker = "sol";
const egressCodeLength = 4;
const ownerBytes = { from: 2, to: 5 } as const;

/** Six hexadecimal digits for an installation: the same that are in its cards' addresses. */
export function ownerCode(ownerId: string): string {
  return sharedPrefix(ownerId).split(":").slice(ownerBytes.from, ownerBytes.to).join("");
}

/** What all taps of an installation begin with. */
export function tapPrefix(ownerId: string): string {
  return marker + ownerCode(ownerId);
}

/** Four characters for a policy: its own name, or digits of its digest, so that a restart with another map reads them alike. */
export function egressCode(egress: Egress): string {
  if (typeof egress === "string") return egress;
  return createHash("sha256").update(egressKey(egress)).digest("hex").slice(0, egressCodeLength);
}

/** The tap of a guest with this card of the pool. */
export function tapName(ownerId: string, macAddress: string, egress: Egress): string {
  return tapPrefix(ownerId) + egressCode(egress) + macAddress.slice(-2);
}

/** Reads a tap's name; null for those of others. */
export function parseTapName(ownerId: string, name: string): TapName | null {
  const prefix = tapPrefix(ownerId);
  const match = /^([0-9a-z]{4})([0-9a-f]{2})$/.exec(name.slice(prefix.length));
  if (!name.startsWith(prefix) || match?.[1] === undefined) return null;
  return { name, egressCode: match[1], macAddress: sharedPrefix(ownerId) + match[2] };
}
