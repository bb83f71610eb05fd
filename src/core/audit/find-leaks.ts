import { guestName } from "../job/job.ts";
import { findGuestLeaks, findLogLeaks } from "./guest-leaks.ts";
import type { Inventories, JobEntry, MachineEntry } from "./inventories.ts";
import type { Leak } from "./leak.ts";
import { leakKey } from "./leak.ts";
import { holds } from "./ownership.ts";

/**
 * Compares the inventories of a host. What an active job of this host owns is never in the answer with `remove`, nor
 * is what the inventories do not hold, because it is not ours.
 */
export function findLeaks(inventories: Inventories): Leak[] {
  const guests = findGuestLeaks(inventories);
  const toRemove = new Set(guests.filter(({ remedy }) => remedy === "remove").map(({ jobId }) => jobId));
  return [
    ...guests,
    ...findLogLeaks(inventories),
    // A record that says so of a guest that is there is right until that guest was removed, which finishes it.
    ...findMachineLeaks(inventories).filter(({ jobId }) => !toRemove.has(jobId)),
    ...findJobLeaks(inventories),
    ...findNetworkLeaks(inventories),
    ...findTemporaryLeaks(inventories),
  ];
}

/**
 * Keeps of the first look's differences those that a second look saw too. The inventories are read one after the other, so
 * what changes meanwhile looks like a difference once, and not twice.
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
    const cause = `The store says that attempt ${attempt} still has a guest, but that attempt is over and nothing is here. The orchestrator was stopped between removing the guest and writing that down.`;
    return [{ ...leak, cause, remedy: "finish" }];
  }
  const shouldBeHere = job?.state === "booting" || job?.state === "running";
  const isHere = inventories.guestInventory.domains.some((domain) => domain.jobId === jobId);
  if (inventories.isDriven || !shouldBeHere || isHere) return [];
  const cause = `The job is ${job.state}, but its guest is not here: it disappeared while no orchestrator ran, as when the host was restarted. The orchestrator ends this attempt when it starts.`;
  return [{ ...leak, cause, remedy: "adopt" }];
}

function jobWithoutMachine({ id, state, attempt }: JobEntry): Leak {
  return {
    kind: "job_without_machine",
    name: `${guestName(id)}/${attempt}`,
    jobId: id,
    cause: `The job is ${state} on this host, but the store has no machine for attempt ${attempt}. Both are written at once, so something else has changed the database.`,
    remedy: "finish",
  };
}

function findNetworkLeaks({ guestInventory, now }: Inventories): Leak[] {
  const used = new Set(guestInventory.directories.map(({ macAddress }) => macAddress));
  const leases = guestInventory.leases.filter(
    (lease) => lease.expiresAt > now && !used.has(lease.macAddress),
  );
  const interfaces = guestInventory.interfaces.filter(({ macAddress }) => !used.has(macAddress));
  // A guest whose card is not written down may be the one behind an interface that nobody else has.
  const areCardsKnown = guestInventory.domains.every(({ jobId }) =>
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
          "A guest that is gone has not given its address back. The next guest with this network card gets it, or it expires within the hour; nobody can ask the DHCP server to drop it.",
        remedy: "none",
      }),
    ),
    ...(areCardsKnown ? interfaces : []).map(
      ({ name, macAddress, command }): Leak => ({
        kind: "interface_without_guest",
        name,
        jobId: null,
        cause: `The interface belongs to a network card of ours (${macAddress}), and no guest has that card. Either a guest runs that the hypervisor has lost, or the interface was made by hand. Look with: ${command}`,
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
      cause: `This is ${what}. The process that made it ended before it could remove it.`,
      remedy: "remove",
    }));
}
