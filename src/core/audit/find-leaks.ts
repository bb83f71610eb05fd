import { guestName } from "../job/job.ts";
import { findGuestLeaks, findLogLeaks } from "./guest-leaks.ts";
import type { Inventories, JobEntry, MachineEntry } from "./inventories.ts";
import type { Leak } from "./leak.ts";
import { leakKey } from "./leak.ts";
import { holds } from "./ownership.ts";

/**
 * Compares the inventories of one host. A leak with the remedy `remove` never names a thing that an active job of this
 * host owns, or a thing that no inventory lists: that is not ours.
 */
export function findLeaks(inventories: Inventories): Leak[] {
  const guests = findGuestLeaks(inventories);
  const toRemove = new Set(guests.filter(({ remedy }) => remedy === "remove").map(({ jobId }) => jobId));
  return [
    ...guests,
    ...findLogLeaks(inventories),
    // Removing a guest also finishes its machine record, so such a record is no leak of its own.
    ...findMachineLeaks(inventories).filter(({ jobId }) => !toRemove.has(jobId)),
    ...findJobLeaks(inventories),
    ...findNetworkLeaks(inventories),
    ...findTemporaryLeaks(inventories),
  ];
}

/**
 * Keeps the leaks that two audits in a row found. The inventories are read one after the other, so a change during the
 * reading looks like a leak once, but not twice.
 */
export function confirmLeaks(first: readonly Leak[], second: readonly Leak[]): Leak[] {
  const seenBefore = new Set(first.map(leakKey));
  return second.filter((leak) => seenBefore.has(leakKey(leak)));
}

function findMachineLeaks(inventories: Inventories): Leak[] {
  return inventories.store.machines.flatMap((machine) => judgeMachine(inventories, machine));
}

function findJobLeaks({ store, hostId }: Inventories): Leak[] {
  return [...store.jobs.values()]
    .filter((job) => holds(hostId, job) && !job.hasMachine)
    .map(jobWithoutMachine);
}

function judgeMachine(inventories: Inventories, machine: MachineEntry): Leak[] {
  const { jobId, attempt } = machine;
  const job = inventories.store.jobs.get(jobId);
  const leak = { kind: "machine_without_guest", name: `${guestName(jobId)}/${attempt}`, jobId } as const;
  if (!holds(inventories.hostId, job, attempt)) {
    const cause = `The store has a machine for attempt ${attempt}, but the attempt has ended and its guest is gone. The orchestrator stopped after it removed the guest and before it recorded that.`;
    return [{ ...leak, cause, remedy: "finish" }];
  }
  const shouldBeHere = job?.state === "booting" || job?.state === "running";
  const isHere = inventories.guestInventory.domains.some((domain) => domain.jobId === jobId);
  if (inventories.isDriven || !shouldBeHere || isHere) return [];
  const cause = `The job is ${job.state}, but its guest is gone: the guest disappeared while no orchestrator ran, for example when the host restarted. The orchestrator ends this attempt at its next start.`;
  return [{ ...leak, cause, remedy: "adopt" }];
}

function jobWithoutMachine({ id, state, attempt }: JobEntry): Leak {
  return {
    kind: "job_without_machine",
    name: `${guestName(id)}/${attempt}`,
    jobId: id,
    cause: `The job is ${state} on this host, but the store has no machine for attempt ${attempt}. One transaction writes both, so another program changed the database.`,
    remedy: "finish",
  };
}

function findNetworkLeaks({ guestInventory, now }: Inventories): Leak[] {
  const used = new Set(guestInventory.directories.map(({ macAddress }) => macAddress));
  const leases = guestInventory.leases.filter(
    (lease) => lease.expiresAt > now && !used.has(lease.macAddress),
  );
  const interfaces = guestInventory.interfaces.filter(({ macAddress }) => !used.has(macAddress));
  // An interface without a directory may belong to a guest whose network card is not recorded.
  const areCardsRecorded = guestInventory.domains.every(({ jobId }) =>
    guestInventory.directories.some(
      (directory) => directory.jobId === jobId && directory.macAddress !== null,
    ),
  );
  return [
    ...leases.map(
      ({ macAddress, address }): Leak => ({
        kind: "lease_without_guest",
        name: `${address} (${macAddress})`,
        jobId: null,
        cause:
          "The guest with this DHCP lease is gone, but the lease is still valid. The lease expires within the hour, or the next guest with this network card takes it over; the DHCP server has no command to remove it.",
        remedy: "none",
      }),
    ),
    ...(areCardsRecorded ? interfaces : []).map(
      ({ name, macAddress, command }): Leak => ({
        kind: "interface_without_guest",
        name,
        jobId: null,
        cause: `The interface belongs to one of our network cards (${macAddress}), but no guest has that card. Either a guest runs that the hypervisor has lost, or a person created the interface. Inspect it with: ${command}`,
        remedy: "by_hand",
      }),
    ),
  ];
}

function findTemporaryLeaks({ temporary, now }: Inventories): Leak[] {
  return temporary
    .filter((entry) => !entry.isHeld && now - entry.modifiedAt >= entry.staleAfterMs)
    .map(({ path, what }) => ({
      kind: "stale_temporary_file",
      name: path,
      jobId: null,
      cause: `This is ${what}. The process that created it ended without removing it.`,
      remedy: "remove",
    }));
}
