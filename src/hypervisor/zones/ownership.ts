import type { ZoneConfiguration } from "./zone/zone-export.ts";
import type { ListedZone } from "./zone/zone-list.ts";

/** The names of our attributes in a zone's configuration. */
export const ownershipAttributes = {
  owner: "solstice-owner",
  job: "solstice-job",
  attempt: "solstice-attempt",
} as const;

/** The same names as user properties of ZFS. */
export const ownershipProperties = {
  owner: "solstice:owner",
  job: "solstice:job",
  attempt: "solstice:attempt",
} as const;

/** Installation, job and attempt that own an object. */
export interface Ownership {
  readonly owner: string;
  readonly jobId: string;
  readonly attempt: number;
}

/** A zone with its configuration. */
export interface ConfiguredZone extends ListedZone {
  readonly configuration: ZoneConfiguration;
}

/** Returns the mark in a zone's attributes, or null when it is incomplete. */
export function zoneOwnership({ configuration: { attributes } }: ConfiguredZone): Ownership | null {
  const { owner, job, attempt } = ownershipAttributes;
  return ownershipOf(attributes.get(owner), attributes.get(job), attributes.get(attempt));
}

/** Parses a mark; null when a part of it is missing or invalid. */
export function ownershipOf(
  owner: string | undefined,
  jobId: string | undefined,
  attempt: string | undefined,
): Ownership | null {
  if (!owner || !jobId || attempt === undefined || !/^[1-9]\d{0,8}$/.test(attempt)) return null;
  return { owner, jobId, attempt: Number(attempt) };
}
