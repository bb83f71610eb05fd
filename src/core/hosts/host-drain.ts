import type { HostFacts } from "./host-facts.ts";

/** Reason why a healthy host starts no more jobs: its process stops or restarts, or an operator drains it. */
export type HostDrain = "stopping" | "restarting" | "requested";

/** The reason for a host's drain, from its facts; null while the host starts jobs. */
export function drainOf(
  facts: Pick<HostFacts, "draining" | "restartGraceSeconds" | "drainRequestedAt">,
): HostDrain | null {
  if (facts.restartGraceSeconds !== null) return "restarting";
  if (facts.drainRequestedAt !== null) return "requested";
  return facts.draining ? "stopping" : null;
}

/** The same as a sentence for a person. */
export const drainTexts: Readonly<Record<HostDrain, string>> = {
  stopping: "The host is shutting down and starts no more jobs.",
  restarting: "The host is restarting, and starts jobs again afterwards.",
  requested:
    "The host is being drained and starts no more jobs until an operator runs `solstice drain --end` on it.",
};
