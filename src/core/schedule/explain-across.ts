import type { JobState } from "../job/job-state.ts";
import { type Constraint, type ExplainSnapshot, type Explanation, explain } from "./explain.ts";
import { explainAbsence, type KnownHost } from "./explain-absence.ts";
import type { QueuedJob } from "./scheduler.ts";

/** A host that holds its lease and runs the job's image, with its scheduler's snapshot. */
export interface ServingHost {
  readonly name: string;
  readonly snapshot: ExplainSnapshot;
}

/**
 * Rank of a constraint by how soon it ends by itself: the smaller, the sooner. Constraints of equal rank wait for a
 * slot.
 */
const distance: Readonly<Record<Constraint, number>> = {
  not_waiting: 0,
  starting: 1,
  other_host_first: 2,
  behind_others: 2,
  label_cap: 2,
  global_cap: 2,
  image_not_ready: 3,
  paused: 4,
  draining: 5,
  no_host: 6,
  no_backend: 7,
};

/**
 * Explains the wait of a job that several hosts could run: the host with the lowest constraint rank answers, then the
 * one with the earliest estimate. The message names this host when other hosts are live too. `live` are all hosts that
 * hold their lease, this one included; `lost` hosts are named when no live host serves the image.
 */
export function explainAcross(
  job: QueuedJob & { readonly state: JobState },
  hosts: { serving: readonly ServingHost[]; live: readonly KnownHost[]; lost: readonly KnownHost[] },
): Explanation {
  const answers = hosts.serving.map(({ name, snapshot }) => ({ name, answer: explain(job, snapshot) }));
  const [best] = answers.sort((a, b) => byAvailability(a.answer, b.answer));
  if (best === undefined) return absence(job, hosts);
  const { name, answer } = best;
  const isNamed = hosts.live.length > 1 && answer.constraint !== "not_waiting";
  return isNamed ? { ...answer, message: `Host ${name}: ${answer.message}${cameFrom(job, name)}` } : answer;
}

/** The job's previous host, where it explains why the job waits for this one. */
function cameFrom({ lastAttempt }: QueuedJob, name: string): string {
  if (lastAttempt === null || lastAttempt.hostId === name) return "";
  return ` Its last attempt was on host ${lastAttempt.hostId}.`;
}

function byAvailability(a: Explanation, b: Explanation): number {
  const steps = distance[a.constraint] - distance[b.constraint];
  return steps || (a.estimatedStartAt ?? Number.MAX_VALUE) - (b.estimatedStartAt ?? Number.MAX_VALUE);
}

function absence(
  job: QueuedJob & { readonly state: JobState },
  hosts: { live: readonly KnownHost[]; lost: readonly KnownHost[] },
): Explanation {
  if (job.state === "queued") return explainAbsence(job.image, hosts);
  const message = `The job does not wait: it is ${job.state}.`;
  return { constraint: "not_waiting", message, estimatedStartAt: null };
}
