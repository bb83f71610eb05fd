import type { HostFacts } from "./host-facts.ts";

/** Why a host starts no more jobs although nothing is wrong with it: its process stops, restarts, or an operator drains it. */
export type HostDrain = "stopping" | "restarting" | "requested";

/** What a host's facts say of its drain; null while it starts jobs. */
export function drainOf(
  facts: Pick<HostFacts, "draining" | "restartGraceSeconds" | "drainRequestedAt">,
): HostDrain | null {
  if (facts.restartGraceSeconds !== null) return "restarting";
  if (facts.drainRequestedAt !== null) return "requested";
  return facts.draining ? "stopping" : null;
}

/** The same for a person, in a sentence about "the host". */
export const drainTexts: Readonly<Record<HostDrain, string>> = {
  stopping: "The host is shutting down and starts no more jobs.",
  restarting: "The host restarts, and starts jobs again after that.",
  requested:
    "The host is being drained and starts no more jobs until an operator ends that, with `solstice drain --end` on it.",
};
