import { guestName } from "../job/job.ts";
import type { Leak } from "./leak.ts";
import type { DirectoryEntry, DomainEntry, Ledgers } from "./ledgers.ts";
import { holds, whyNotHeld } from "./ownership.ts";

/** The differences between what the hypervisor and the files hold of guests, and what the store says of their jobs. */
export function findGuestLeaks(ledgers: Ledgers): Leak[] {
  const { domains, directories, misnamed } = ledgers.traces;
  const withDomain = new Set(domains.map(({ jobId }) => jobId));
  return [
    ...domains.flatMap((domain) => judgeDomain(ledgers, domain)),
    ...directories
      .filter(({ jobId }) => !withDomain.has(jobId))
      .flatMap((directory) => judgeDirectory(ledgers, directory)),
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

function judgeDomain(ledgers: Ledgers, domain: DomainEntry): Leak[] {
  const { name, jobId, attempt } = domain;
  const job = ledgers.store.jobs.get(jobId);
  if (!holds(ledgers.hostId, job)) {
    const cause = whyNotHeld(ledgers.hostId, job);
    return [{ kind: "guest_without_job", name, jobId, cause, remedy: "remove" }];
  }
  if (job?.attempt !== attempt) {
    const cause = `The guest is of attempt ${attempt}, and its job is at attempt ${job?.attempt}: the host lost the job and got it again before the old guest was gone.`;
    return [{ kind: "guest_of_other_attempt", name, jobId, cause, remedy: "remove" }];
  }
  return judgeFiles(ledgers, domain, job.state);
}

/** While a job is being provisioned or finalized its driver makes or removes these very files. */
function judgeFiles(ledgers: Ledgers, domain: DomainEntry, state: string): Leak[] {
  if (state === "provisioning" || state === "finalizing") return [];
  const { name, jobId, needs } = domain;
  const present = ledgers.traces.directories.find((directory) => directory.jobId === jobId)?.files ?? [];
  const missing = needs.filter((file) => !present.includes(file));
  if (missing.length === 0) return [];
  const cause = `Somebody removed ${missing.join(" and ")} of a guest that is in use. It goes on with what it holds open, and goes with its job; nothing can be put back.`;
  return [{ kind: "domain_without_files", name, jobId, cause, remedy: "none" }];
}

function judgeDirectory(ledgers: Ledgers, { path, jobId }: DirectoryEntry): Leak[] {
  const job = ledgers.store.jobs.get(jobId);
  if (holds(ledgers.hostId, job)) return [];
  const cause = `Files of a guest that is not defined. ${whyNotHeld(ledgers.hostId, job)}`;
  return [{ kind: "files_without_guest", name: path, jobId, cause, remedy: "remove" }];
}

/**
 * The hypervisor's logs of guests that are gone. Another installation on the same host has logs of the same form, so only
 * those of jobs that the store knows to have run here are ours.
 */
export function findLogLeaks({ traces, store, hostId }: Ledgers): Leak[] {
  const present = new Set([...traces.domains, ...traces.directories].map(({ jobId }) => jobId));
  return traces.logs
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
