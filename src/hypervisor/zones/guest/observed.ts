import type { ZoneState } from "../zone/zone-list.ts";

/** The zone of a guest's name: `foreign` without our mark, or with another installation's or job's. */
export type ObservedZone =
  | { readonly kind: "none" }
  | { readonly kind: "foreign" }
  | { readonly kind: "ours"; readonly state: ZoneState; readonly attempt: number };

/** The dataset of a guest's disk: `foreign` without our mark on itself; a mark that it inherits is none. */
export type ObservedDisk =
  | { readonly kind: "none" }
  | { readonly kind: "foreign" }
  | { readonly kind: "ours"; readonly attempt: number };

/** What the host holds of one guest at one moment. */
export interface ObservedGuest {
  readonly zone: ObservedZone;
  readonly disk: ObservedDisk;
  /** Whether the dataset of the zone's directory is there, which zoneadm makes and removes, and a crash can leave. */
  readonly hasZoneDataset: boolean;
  /** The VNIC of the guest's slot, where there is one. */
  readonly vnic: string | null;
  /** Whether the guest's own directory is there: it is made first and removed last. */
  readonly hasDirectory: boolean;
  /** Whether its seed is whole. */
  readonly hasSeed: boolean;
  /** The slot that is written down in the directory. */
  readonly slot: number | null;
}

/** Whether anything of it belongs to this installation. */
export function isOurs({ zone, disk, hasDirectory }: ObservedGuest): boolean {
  return zone.kind === "ours" || disk.kind === "ours" || hasDirectory;
}
