import { lstat } from "node:fs/promises";
import { hasErrorCode } from "../../../host/error-code.ts";
import { exists } from "../../../host/files/exists.ts";
import { type FoundDomain, findDomain, type LibvirtHost } from "../host.ts";
import { guestPaths } from "./guest-paths.ts";
import type { ObservedGuest } from "./observed.ts";
import { hasPower } from "./power.ts";

/** Reads all parts of a guest on this host. */
export async function observeGuest(host: LibvirtHost, jobId: string): Promise<ObservedGuest> {
  const { directory, overlay, seed } = guestPaths(host.guestsDir, jobId);
  const [domain, hasDirectory, ...hasFiles] = await Promise.all([
    findDomain(host, jobId),
    hasEntry(directory),
    exists(overlay),
    exists(seed),
  ]);
  return {
    domain,
    hasPower: await domainHasPower(host, domain),
    hasDirectory,
    hasFiles: hasFiles.every(Boolean),
  };
}

async function domainHasPower(host: LibvirtHost, found: FoundDomain): Promise<boolean> {
  return found.kind !== "none" && hasPower(host, found.domain);
}

/**
 * True when the path exists, also as a broken link. An unreadable parent is an error: its content must not count as
 * removed.
 */
async function hasEntry(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (hasErrorCode(error, "ENOENT")) return false;
    throw error;
  }
}
