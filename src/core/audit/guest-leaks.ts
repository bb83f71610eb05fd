import { guestName } from "../job/job.ts";
import type { DirectoryEntry, DomainEntry, Inventories } from "./inventories.ts";
import type { Leak } from "./leak.ts";
import { holds, whyNotHeld } from "./ownership.ts";

/** The differences between what the hypervisor and the files hold of guests, and what the store says of their jobs. */
export function findGuestLeaks(inventories: Inventories): Leak[] {
  const { domains, directories, misnamed } = inventories.guestInventory;
  const withDomain = new Set(domains.map(({ jobId }) => jobId));
  return [
    ...domains.flatMap((domain) => judgeDomain(inventories, domain)),
    ...directories
      .filter(({ jobId }) => !withDomain.has(jobId))
      .flatMap((directory) => judgeDirectory(inventories, directory)),
    ...misnamed.map(
      ({ name, jobId, command }): Leak => ({
        kind: "misnamed_guest",
        name,
        jobId,
        cause: `It carries the mark of ${guestName(jobId)} under another name, so somebody copied or renamed that guest. If it is not needed: ${command}`,
        remedy: "by_hand",
      }),
    ),
  ];
}

function judgeDomain(inventories: Inventories, domain: DomainEntry): Leak[] {
  const { name, jobId, attempt } = domain;
  const job = inventories.store.jobs.get(jobId);
  if (!holds(inventories.hostId, job)) {
    const cause = whyNotHeld(inventories.hostId, job);
    return [{ kind: "guest_without_job", name, jobId, cause, remedy: "remove" }];
  }
  if (job?.attempt !== attempt) {
    const cause = `The guest is of attempt ${attempt}, and its job is at attempt ${job?.attempt}: the host lost the job and got it again before the old guest was gone.`;
    return [{ kind: "guest_of_other_attempt", name, jobId, cause, remedy: "remove" }];
  }
  return judgeFiles(inventories, domain, job.state);
}

/** While a job is being provisioned or finalized its driver makes or removes these very files. */
function judgeFiles(inventories: Inventories, domain: DomainEntry, state: string): Leak[] {
  if (state === "provisioning" || state === "finalizing") return [];
  const { name, jobId, needs } = domain;
  const present =
    inventories.guestInventory.directories.find((directory) => directory.jobId === jobId)?.files ?? [];
  const missing = needs.filter((file) => !present.includes(file));
  if (missing.length === 0) return [];
  const cause = `Somebody removed ${missing.join(" and ")} of a guest that is in use. It goes on with what it holds open, and goes with its job; nothing can be put back.`;
  return [{ kind: "domain_without_files", name, jobId, cause, remedy: "none" }];
}

function judgeDirectory(inventories: Inventories, { path, jobId }: DirectoryEntry): Leak[] {
  const job = inventories.store.jobs.get(jobId);
  if (holds(inventories.hostId, job)) return [];
  const cause = `Files of a guest that is not defined. ${whyNotHeld(inventories.hostId, job)}`;
  return [{ kind: "files_without_guest", name: path, jobId, cause, remedy: "remove" }];
}

/**
 * The hypervisor's logs of guests that are gone. Another installation on the same host has logs of the same form, so only
 * those of jobs that the store knows to have run here are ours.
 */
export function findLogLeaks({ guestInventory, store, hostId }: Inventories): Leak[] {
  const present = new Set(
    [...guestInventory.domains, ...guestInventory.directories].map(({ jobId }) => jobId),
  );
  return guestInventory.logs
    .filter(({ jobId }) => store.ranHere.has(jobId) && !present.has(jobId))
    .filter(({ jobId }) => !holds(hostId, store.jobs.get(jobId)))
    .map(({ path, jobId }) => ({
      kind: "stale_temporary_file",
      name: path,
      jobId,
      cause:
        "This is the hypervisor's log of a guest that is gone. The orchestrator was stopped before it had removed it, or could not.",
      remedy: "remove",
    }));
}
