import { readdir } from "node:fs/promises";
import { guestName, jobIdOfGuest } from "../../core/job.ts";
import type { OwnedGuest } from "../hypervisor.ts";
import { findDomain, isGone, type LibvirtHost } from "./host.ts";
import { powerOf } from "./power.ts";

/** Every guest of ours: domains with our mark, and directories whose domain is gone or was never defined. */
export async function listGuests(host: LibvirtHost): Promise<OwnedGuest[]> {
  // Directories first: a guest that is being made in between is then found with its domain, not as a leftover.
  const directories = await listDirectories(host.guestsDir);
  const domains = await host.client.listAllDomains();
  const names = new Set([...directories, ...domains.map(({ name }) => name)]);
  const guests: OwnedGuest[] = [];
  for (const name of names) {
    const jobId = jobIdOfGuest(name);
    if (jobId === null) continue;
    const guest = (await describeDomain(host, jobId)) ?? leftover(jobId, directories.has(name));
    if (guest) guests.push(guest);
  }
  return guests;
}

async function describeDomain(host: LibvirtHost, jobId: string): Promise<OwnedGuest | null> {
  const found = await findDomain(host, jobId);
  if (found.kind !== "ours") return null;
  try {
    const power = powerOf(await host.client.domainState(found.domain));
    return { name: guestName(jobId), jobId, attempt: found.attempt, power };
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

function leftover(jobId: string, hasDirectory: boolean): OwnedGuest | null {
  return hasDirectory ? { name: guestName(jobId), jobId, attempt: null, power: "stopped" } : null;
}

async function listDirectories(guestsDir: string): Promise<Set<string>> {
  const entries = await readdir(guestsDir, { withFileTypes: true });
  return new Set(entries.filter((entry) => entry.isDirectory()).map(({ name }) => name));
}
