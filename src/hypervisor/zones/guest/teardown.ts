import type { ZoneState } from "../zone/zone-list.ts";
import { isOurs, type ObservedGuest } from "./observed.ts";

/** One step of a guest's removal. `wait`: the zone is in transition, observe it again. */
export type TeardownStep =
  | "halt"
  | "wait"
  | "unmount"
  | "uninstall"
  | "delete-zone"
  | "delete-vnic"
  | "destroy-disk"
  | "destroy-zone-dataset"
  | "remove-directory";

/**
 * Returns the next step of the removal for an observed guest; null once all our parts are removed. The directory is
 * last: while any part is left, the directory marks the guest as ours.
 */
export function nextTeardownStep(guest: ObservedGuest): TeardownStep | null {
  if (guest.zone.kind === "ours") return stepOfZone[guest.zone.state];
  if (guest.vnic !== null) return "delete-vnic";
  if (guest.disk.kind === "ours") return "destroy-disk";
  // A foreign zone may have its directory there.
  if (guest.hasZoneDataset && guest.hasDirectory && guest.zone.kind === "none") return "destroy-zone-dataset";
  return guest.hasDirectory ? "remove-directory" : null;
}

/**
 * The step that removes a zone in each state, by zoneadm(8). A crash during install leaves `incomplete`, during boot
 * `ready`.
 */
const stepOfZone: Readonly<Record<ZoneState, TeardownStep>> = {
  running: "halt",
  ready: "halt",
  down: "halt",
  shutting_down: "wait",
  unknown: "wait",
  mounted: "unmount",
  installed: "uninstall",
  incomplete: "uninstall",
  configured: "delete-zone",
};

/** Returns the guest's state after a successful step. */
export function afterStep(guest: ObservedGuest, step: TeardownStep): ObservedGuest {
  const { zone } = guest;
  const inState = (state: ZoneState) =>
    zone.kind === "ours" ? { ...guest, zone: { ...zone, state } } : guest;
  switch (step) {
    case "halt":
    case "unmount":
      return inState("installed");
    case "uninstall":
      return { ...inState("configured"), hasZoneDataset: false };
    case "delete-zone":
      return { ...guest, zone: { kind: "none" } };
    case "delete-vnic":
      return { ...guest, vnic: null };
    case "destroy-disk":
      return { ...guest, disk: { kind: "none" } };
    case "destroy-zone-dataset":
      return { ...guest, hasZoneDataset: false };
    case "remove-directory":
      return { ...guest, hasDirectory: false, hasSeed: false, slot: null };
    case "wait":
      return guest;
  }
}

/** Decision about the creation of a guest. */
export type Creation =
  | { readonly kind: "done" }
  /** The remains are removed first, then everything is created. */
  | { readonly kind: "make" }
  | { readonly kind: "refuse"; readonly what: "zone" | "disk" | "zone-dataset" }
  | { readonly kind: "outdated"; readonly attempt: number };

/**
 * Decides what to do so that the guest of this attempt exists, without power. The zone is installed last: an installed
 * zone has all other parts, unless they were removed by hand. An incomplete guest, or one of an earlier attempt, is
 * created again.
 */
export function decideCreation(guest: ObservedGuest, attempt: number): Creation {
  const { zone, disk } = guest;
  if (zone.kind === "foreign") return { kind: "refuse", what: "zone" };
  if (disk.kind === "foreign") return { kind: "refuse", what: "disk" };
  if (guest.hasZoneDataset && !isOurs(guest)) return { kind: "refuse", what: "zone-dataset" };
  const present = Math.max(zone.kind === "ours" ? zone.attempt : 0, disk.kind === "ours" ? disk.attempt : 0);
  if (present > attempt) return { kind: "outdated", attempt: present };
  return isWhole(guest, attempt) ? { kind: "done" } : { kind: "make" };
}

function isWhole({ zone, disk, hasSeed, slot }: ObservedGuest, attempt: number): boolean {
  if (zone.kind !== "ours" || disk.kind !== "ours" || !hasSeed || slot === null) return false;
  if (zone.state === "configured" || zone.state === "incomplete") return false;
  return zone.attempt === attempt && disk.attempt === attempt;
}
