import { rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { guestName } from "../../../core/job/job.ts";
import type { Domain } from "../../../libvirt/index.ts";
import { isGone, type LibvirtHost } from "../host.ts";
import { type TeardownStep, teardownSteps } from "./decide.ts";
import { guestPaths } from "./guest-paths.ts";
import { observeGuest } from "./observe.ts";
import type { ObservedGuest } from "./observed.ts";
import { cutPower } from "./power.ts";

/** What virtlogd adds to the names of the logs that it has replaced, because they were full. */
const oldLogs = [".0", ".1", ".2"];

/** Removes the guest and every file of it. What is not ours stays. */
export async function removeGuest(host: LibvirtHost, jobId: string): Promise<void> {
  const guest = await observeGuest(host, jobId);
  await takeSteps(host, jobId, { guest, steps: teardownSteps(guest) });
}

/** Takes the steps that were decided for a guest as it was observed. */
export async function takeSteps(
  host: LibvirtHost,
  jobId: string,
  { guest, steps }: { readonly guest: ObservedGuest; readonly steps: readonly TeardownStep[] },
): Promise<void> {
  for (const step of steps) await take(host, jobId, { guest, step });
}

async function take(
  host: LibvirtHost,
  jobId: string,
  { guest: { domain: found }, step }: { readonly guest: ObservedGuest; readonly step: TeardownStep },
): Promise<void> {
  if (step === "remove-log") return removeDomainLog(host, jobId);
  if (step === "remove-directory") {
    const { directory } = guestPaths(host.guestsDir, jobId);
    // virtlogd may still be closing the console's file.
    return rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
  if (found.kind === "none") return;
  await (step === "cut-power" ? cutPower(host, found.domain) : undefine(host, found.domain));
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
