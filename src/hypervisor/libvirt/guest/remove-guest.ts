import { rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { guestName } from "../../../core/job/job.ts";
import type { Domain } from "../../../libvirt/index.ts";
import type { GuestSpec } from "../../hypervisor.ts";
import { findDomain, isGone, isWrongState, type LibvirtHost } from "../host.ts";
import { guestPaths } from "./guest-paths.ts";
import { destroyGuest } from "./power.ts";

/** What virtlogd adds to the names of the logs that it has replaced, because they were full. */
const oldLogs = [".0", ".1", ".2"];

/**
 * Removes the guest and every file of it. The directory goes last: while anything is left, the directory is there to
 * tell that the guest is ours. A domain that is not ours stays, and so does its log.
 */
export async function removeGuest(host: LibvirtHost, jobId: string): Promise<void> {
  await destroyGuest(host, jobId);
  const found = await findDomain(host, jobId);
  if (found.kind === "ours") await undefine(host, found.domain);
  if (found.kind !== "foreign") await removeDomainLog(host, jobId);
  // virtlogd may still be closing the console's file.
  await rm(guestPaths(host.guestsDir, jobId).directory, { recursive: true, force: true, maxRetries: 5 });
}

/**
 * Removes the domain that a lost host left on a hypervisor that we share with it: one of this very job, of an earlier
 * attempt, marked as one of `spec.formerHosts`. Its files are in that host's data directory, and go when it is back.
 */
export async function removeAbandoned(host: LibvirtHost, spec: GuestSpec): Promise<void> {
  const found = await findDomain(host, spec.jobId);
  if (found.kind !== "foreign" || found.ownership === null) return;
  const { owner, jobId, attempt } = found.ownership;
  if (jobId !== spec.jobId || attempt >= spec.attempt || !spec.formerHosts.includes(owner)) return;
  host.log.warn({ guest: guestName(jobId), attempt, owner }, "removing the guest that a lost host left");
  try {
    await host.client.destroyDomain(found.domain);
  } catch (error) {
    if (!isGone(error) && !isWrongState(error)) throw error;
  }
  await undefine(host, found.domain);
}

/** Makes libvirt forget a domain; one that is not there is forgotten already. */
function undefine({ client }: LibvirtHost, domain: Domain): Promise<void> {
  return ignoringGone(() =>
    client.undefineDomain(domain, { nvram: true, managedSave: true, snapshotsMetadata: true }),
  );
}

/** libvirt keeps one log for every name that ever ran; thousands of jobs would leave thousands. */
async function removeDomainLog({ domainLogDir }: LibvirtHost, jobId: string): Promise<void> {
  if (domainLogDir === null) return;
  for (const old of ["", ...oldLogs]) {
    try {
      await unlink(join(domainLogDir, `${guestName(jobId)}.log${old}`));
    } catch {
      // There is none, or it is not ours to remove; either way the guest itself is gone.
    }
  }
}

async function ignoringGone(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}
