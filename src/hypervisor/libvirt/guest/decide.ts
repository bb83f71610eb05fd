import type { GuestSpec } from "../../hypervisor.ts";
import type { FoundDomain } from "../host.ts";
import type { Ownership } from "../ownership.ts";
import type { ObservedGuest } from "./observed.ts";

/** One step of a guest's removal. */
export type TeardownStep = "cut-power" | "undefine" | "remove-log" | "remove-directory";

/**
 * Returns the steps of a guest's removal, in order. The directory is last: while any other part is left, the directory
 * marks the guest as ours. A foreign domain stays, and so does its log.
 */
export function teardownSteps(guest: ObservedGuest): TeardownStep[] {
  return stepsOf(guest, guest.domain.kind === "ours");
}

function stepsOf({ domain, hasPower, hasDirectory }: ObservedGuest, removesDomain: boolean): TeardownStep[] {
  const steps: TeardownStep[] = [];
  if (removesDomain && hasPower) steps.push("cut-power");
  if (removesDomain) steps.push("undefine");
  // The log outlives its domain, also after a crash between the two steps.
  if (removesDomain || domain.kind === "none") steps.push("remove-log");
  if (hasDirectory) steps.push("remove-directory");
  return steps;
}

/** Decision about the creation of a guest. */
export type Creation =
  /** The guest of this attempt is complete. */
  | { readonly kind: "done" }
  /**
   * First take `steps`, which remove the remains, then create everything. `abandoned`: the mark of a lost host's
   * domain.
   */
  | { readonly kind: "make"; readonly steps: readonly TeardownStep[]; readonly abandoned: Ownership | null }
  /** The domain of that name is foreign. */
  | { readonly kind: "refuse" }
  | { readonly kind: "outdated"; readonly attempt: number };

/** The parts of a guest's specification that decide. */
export type Wanted = Pick<GuestSpec, "jobId" | "attempt" | "formerHosts">;

/**
 * Decides what to do so that the guest of this attempt exists. The domain is defined last: our domain has all its
 * files, unless they were removed by hand. An incomplete guest, or one of an earlier attempt, is created from the
 * start.
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
 * Returns the mark of a domain that a lost host left on a shared hypervisor: of this job, of an earlier attempt, and of
 * one of `formerHosts`. Its files are in that host's data directory, and are removed when that host is back.
 */
function abandonedBy(
  { ownership }: Extract<FoundDomain, { kind: "foreign" }>,
  { jobId, attempt, formerHosts }: Wanted,
): Ownership | null {
  if (ownership === null || ownership.jobId !== jobId || ownership.attempt >= attempt) return null;
  return formerHosts.includes(ownership.owner) ? ownership : null;
}
