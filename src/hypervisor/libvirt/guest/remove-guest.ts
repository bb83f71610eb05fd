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

/** Suffixes that virtlogd adds to the names of full logs. */
const oldLogs = [".0", ".1", ".2"];

/** Removes the guest and all its files. Foreign things stay. */
export async function removeGuest(host: LibvirtHost, jobId: string): Promise<void> {
  const guest = await observeGuest(host, jobId);
  await takeSteps(host, jobId, { guest, steps: teardownSteps(guest) });
}

/** Takes the steps that were decided for the observed guest. */
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
    // Retries, because virtlogd may still be closing the console's file.
    return rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
  if (found.kind === "none") return;
  await (step === "cut-power" ? cutPower(host, found.domain) : undefine(host, found.domain));
}

/** Undefines a domain. Idempotent. */
function undefine({ client }: LibvirtHost, domain: Domain): Promise<void> {
  return ignoringGone(() =>
    client.undefineDomain(domain, { nvram: true, managedSave: true, snapshotsMetadata: true }),
  );
}

/** Removes the domain's log: libvirt keeps one for every name that ever ran, thousands for thousands of jobs. */
async function removeDomainLog({ domainLogDir }: LibvirtHost, jobId: string): Promise<void> {
  if (domainLogDir === null) return;
  for (const old of ["", ...oldLogs]) {
    try {
      await unlink(join(domainLogDir, `${guestName(jobId)}.log${old}`));
    } catch {
      // The log is missing, or this user may not remove it; in both cases the guest itself is removed.
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
