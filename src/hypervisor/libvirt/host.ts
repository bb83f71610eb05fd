import { guestName } from "../../core/job/job.ts";
import type { Log } from "../../core/log.ts";
import type { RunCommand } from "../../host/command.ts";
import type { Domain, LibvirtClient } from "../../libvirt/index.ts";
import { isLibvirtError, LibvirtErrorCode } from "../../libvirt/index.ts";
import type { WriteSeed } from "../hypervisor.ts";
import type { Firewall } from "./firewall/firewall.ts";
import type { VirtType } from "./guest/domain-xml.ts";
import type { MacAddresses } from "./mac-addresses.ts";
import { OWNERSHIP_NAMESPACE, type Ownership, parseOwnership } from "./ownership.ts";

/** Context of every operation of this backend on a prepared host. */
export interface LibvirtHost {
  readonly client: LibvirtClient;
  readonly ownerId: string;
  readonly network: string;
  readonly virtType: VirtType;
  readonly guestsDir: string;
  /** Bytes that must stay free on the guests' file system when a guest is created. */
  readonly reserveBytes: number;
  /** Directory of QEMU's logs of the domains; null when this user must not clean it. */
  readonly domainLogDir: string | null;
  readonly writeSeed: WriteSeed;
  readonly run: RunCommand;
  readonly macAddresses: MacAddresses;
  /** Null when the operator disabled the firewall. */
  readonly firewall: Firewall | null;
  readonly log: Log;
}

/** The domain of a guest's name: `foreign` without our mark, or with another installation's. */
export type FoundDomain =
  | { readonly kind: "none" }
  | { readonly kind: "foreign"; readonly domain: Domain; readonly ownership: Ownership | null }
  | { readonly kind: "ours"; readonly domain: Domain; readonly attempt: number };

/** Finds the guest's domain and its owner. */
export async function findDomain(host: LibvirtHost, jobId: string): Promise<FoundDomain> {
  try {
    const domain = await host.client.lookupDomainByName(guestName(jobId));
    const ownership = await readOwnership(host, domain);
    if (ownership?.owner !== host.ownerId || ownership.jobId !== jobId)
      return { kind: "foreign", domain, ownership };
    return { kind: "ours", domain, attempt: ownership.attempt };
  } catch (error) {
    if (isGone(error)) return { kind: "none" };
    throw error;
  }
}

/** True when libvirt reported that the domain does not exist (any more). */
export function isGone(error: unknown): boolean {
  return isLibvirtError(error, LibvirtErrorCode.NO_DOMAIN);
}

/** True when libvirt reported that the domain is not in the required state; it may have ended meanwhile. */
export function isWrongState(error: unknown): boolean {
  return isLibvirtError(error, LibvirtErrorCode.OPERATION_INVALID);
}

/** Reads a domain's mark; null when it has none. */
export async function readOwnership(host: LibvirtHost, domain: Domain): Promise<Ownership | null> {
  try {
    return parseOwnership(await host.client.domainMetadata(domain, OWNERSHIP_NAMESPACE));
  } catch (error) {
    if (isLibvirtError(error, LibvirtErrorCode.NO_DOMAIN_METADATA)) return null;
    throw error;
  }
}
