import type { GuestSpec } from "../../hypervisor.ts";
import type { FoundDomain } from "../host.ts";
import type { Ownership } from "../ownership.ts";
import type { ObservedGuest } from "./observed.ts";

/** One step of a guest's removal. */
export type TeardownStep = "cut-power" | "undefine" | "remove-log" | "remove-directory";

/**
 * What removes a guest, in order. The directory goes last: while anything else of the guest is left, the directory shows that
 * the guest is ours. A domain that is not ours stays, and so does its log.
 */
export function teardownSteps(guest: ObservedGuest): TeardownStep[] {
  return stepsOf(guest, guest.domain.kind === "ours");
}

function stepsOf({ domain, hasPower, hasDirectory }: ObservedGuest, removesDomain: boolean): TeardownStep[] {
  const steps: TeardownStep[] = [];
  if (removesDomain && hasPower) steps.push("cut-power");
  if (removesDomain) steps.push("undefine");
  // The log stays behind when its domain goes, also after a crash between the two.
  if (removesDomain || domain.kind === "none") steps.push("remove-log");
  if (hasDirectory) steps.push("remove-directory");
  return steps;
}

/** What creating a guest comes to. */
export type Creation =
  /** The guest of this attempt is complete. */
  | { readonly kind: "done" }
  /** First take `steps`, which remove what is left, then make everything. `abandoned`: the mark of a lost host's domain. */
  | { readonly kind: "make"; readonly steps: readonly TeardownStep[]; readonly abandoned: Ownership | null }
  /** The domain of that name is not ours. */
  | { readonly kind: "refuse" }
  | { readonly kind: "outdated"; readonly attempt: number };

/** What of a guest's specification decides. */
export type Wanted = Pick<GuestSpec, "jobId" | "attempt" | "formerHosts">;

/**
 * What to do so that the guest of this attempt exists. The domain is defined last: a domain of ours has all its files, unless
 * somebody removed them. An incomplete guest is made from the start, and so is one of an earlier attempt.
 */
export function decideCreate(guest: ObservedGuest, wanted: Wanted): Creation {
  const { domain } = guest;
  if (domain.kind === "foreign") {
    const abandoned = abandonedBy(domain, wanted);
    return abandoned === null ? { kind: "refuse" } : { kind: "make", steps: stepsOf(guest, true), abandoned };
  }
  if (domain.kind === "ours" && domain.attempt > wanted.attempt) {
    return { kind: "outdated", attempt: domain.attempt };
  }
  const isComplete = domain.kind === "ours" && domain.attempt === wanted.attempt && guest.hasFiles;
  return isComplete ? { kind: "done" } : { kind: "make", steps: teardownSteps(guest), abandoned: null };
}

/**
 * The mark of a domain that a lost host left on a hypervisor that we share with it: of this very job, of an earlier attempt, and
 * of one of `formerHosts`. Its files are in that host's data directory, and go when that host is back.
 */
function abandonedBy(
  { ownership }: Extract<FoundDomain, { kind: "foreign" }>,
  { jobId, attempt, formerHosts }: Wanted,
): Ownership | null {
  if (ownership === null || ownership.jobId !== jobId || ownership.attempt >= attempt) return null;
  return formerHosts.includes(ownership.owner) ? ownership : null;
}
