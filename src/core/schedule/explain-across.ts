import type { JobState } from "../job/job-state.ts";
import { type Constraint, type ExplainSnapshot, type Explanation, explain } from "./explain.ts";
import { explainAbsence, type KnownHost } from "./explain-absence.ts";
import type { QueuedJob } from "./scheduler.ts";

/** A host that holds its lease and runs the job's image, and what its scheduler sees. */
export interface ServingHost {
  readonly name: string;
  readonly snapshot: ExplainSnapshot;
}

/** How near a constraint is to being lifted by itself: the smaller, the more hope. Those alike wait for a slot. */
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
 * Says why a job waits where several hosts could run it: the answer of the one that gives most hope, by its constraint, then
 * by its estimate. That host is named when others live as well. `live` are all hosts that hold their lease, this one included,
 * and `lost` those that are named where nobody serves the image.
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

/** Why it is this host that the job waits for. */
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
