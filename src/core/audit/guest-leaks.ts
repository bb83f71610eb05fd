import { guestName } from "../job/job.ts";
import type { DirectoryEntry, DomainEntry, Inventories } from "./inventories.ts";
import type { Leak } from "./leak.ts";
import { holds, whyNotHeld } from "./ownership.ts";

/** The differences between the guests of the hypervisor, the guests' files, and the jobs of the store. */
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
        cause: `The guest has the mark of ${guestName(jobId)} but another name: a person copied or renamed it. If it is not needed, remove it with: ${command}`,
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
    const cause = `The guest belongs to attempt ${attempt}, but its job is at attempt ${job?.attempt}: the host lost the job and claimed it again before the old guest was removed.`;
    return [{ kind: "guest_of_other_attempt", name, jobId, cause, remedy: "remove" }];
  }
  return judgeFiles(inventories, domain, job.state);
}

/**
 * Finds missing files. In `provisioning` and `finalizing` the job's driver creates or removes files, so none are
 * reported then.
 */
function judgeFiles(inventories: Inventories, domain: DomainEntry, state: string): Leak[] {
  if (state === "provisioning" || state === "finalizing") return [];
  const { name, jobId, needs } = domain;
  const present =
    inventories.guestInventory.directories.find((directory) => directory.jobId === jobId)?.files ?? [];
  const missing = needs.filter((file) => !present.includes(file));
  if (missing.length === 0) return [];
  const cause = `A person or program removed ${missing.join(" and ")} of a guest that is in use. The guest continues with the files that it has open, and is removed with its job; the files cannot be restored.`;
  return [{ kind: "domain_without_files", name, jobId, cause, remedy: "none" }];
}

function judgeDirectory(inventories: Inventories, { path, jobId }: DirectoryEntry): Leak[] {
  const job = inventories.store.jobs.get(jobId);
  if (holds(inventories.hostId, job)) return [];
  const cause = `These files belong to a guest that the hypervisor does not have. ${whyNotHeld(inventories.hostId, job)}`;
  return [{ kind: "files_without_guest", name: path, jobId, cause, remedy: "remove" }];
}

/**
 * The hypervisor's logs of guests that are gone. Another installation on the same host has logs with names of the same
 * form, so a log is ours only if the store records that its job ran on this host.
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
        "This is the hypervisor's log of a guest that is gone. The orchestrator stopped before it removed the log, or could not remove it.",
      remedy: "remove",
    }));
}
