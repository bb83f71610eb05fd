import type { ZoneState } from "../zone/zone-list.ts";

/** The zone of a guest's name: `foreign` without our mark, or with another installation's or job's. */
export type ObservedZone =
  | { readonly kind: "none" }
  | { readonly kind: "foreign" }
  | { readonly kind: "ours"; readonly state: ZoneState; readonly attempt: number };

/** The dataset of a guest's disk: `foreign` without our mark as its own property; an inherited mark does not count. */
export type ObservedDisk =
  | { readonly kind: "none" }
  | { readonly kind: "foreign" }
  | { readonly kind: "ours"; readonly attempt: number };

/** All parts of one guest on the host at one moment. */
export interface ObservedGuest {
  readonly zone: ObservedZone;
  readonly disk: ObservedDisk;
  /** True when the dataset of the zone's directory exists; zoneadm creates and removes it, and a crash can leave it. */
  readonly hasZoneDataset: boolean;
  /** The VNIC of the guest's slot, if it exists. */
  readonly vnic: string | null;
  /** True when the guest's own directory exists: it is created first and removed last. */
  readonly hasDirectory: boolean;
  /** True when the seed is complete. */
  readonly hasSeed: boolean;
  /** The slot recorded in the directory. */
  readonly slot: number | null;
}

/** True when any part belongs to this installation. */
export function isOurs({ zone, disk, hasDirectory }: ObservedGuest): boolean {
  return zone.kind === "ours" || disk.kind === "ours" || hasDirectory;
}
