import { parseXml } from "./xml.ts";

/** The namespace of our element in a domain's `<metadata>`. */
export const OWNERSHIP_NAMESPACE = "https://solstice-ci.dev/xmlns/guest/1";

/** Owner of a domain that is a guest. */
export interface Ownership {
  /** Id of the installation: every orchestrator and data directory has its own. */
  readonly owner: string;
  readonly jobId: string;
  readonly attempt: number;
}

/** Returns our `<metadata>` child, in the object form of `buildXml`. */
export function ownershipElement(ownership: Ownership): object {
  return {
    "solstice:guest": {
      "@xmlns:solstice": OWNERSHIP_NAMESPACE,
      "@owner": ownership.owner,
      "@job": ownership.jobId,
      "@attempt": ownership.attempt,
    },
  };
}

/** Parses the element of {@link ownershipElement} in libvirt's format; null for anything else. */
export function parseOwnership(xml: string): Ownership | null {
  const { guest }: { guest?: unknown } = parseXml(xml);
  if (typeof guest !== "object" || guest === null) return null;
  const { owner, job, attempt } = guest as Record<string, unknown>;
  if (typeof owner !== "string" || typeof job !== "string" || typeof attempt !== "string") return null;
  if (!/^[1-9][0-9]{0,8}$/.test(attempt)) return null;
  return { owner, jobId: job, attempt: Number(attempt) };
}
