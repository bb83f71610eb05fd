import { guestName } from "../job/job.ts";
import { findGuestLeaks, findLogLeaks } from "./guest-leaks.ts";
import type { Leak } from "./leak.ts";
import { leakKey } from "./leak.ts";
import type { JobEntry, Ledgers, MachineEntry } from "./ledgers.ts";
import { holds } from "./ownership.ts";

/**
 * Compares the ledgers of a host. What an active job of this host owns is never in the answer with `remove`, nor
 * is what the ledgers do not hold, because it is not ours.
 */
export function findLeaks(ledgers: Ledgers): Leak[] {
  const guests = findGuestLeaks(ledgers);
  const toRemove = new Set(guests.filter(({ remedy }) => remedy === "remove").map(({ jobId }) => jobId));
  return [
    ...guests,
    ...findLogLeaks(ledgers),
    // A record that says so of a guest that is there is right until that guest was removed, which finishes it.
    ...findMachineLeaks(ledgers).filter(({ jobId }) => !toRemove.has(jobId)),
    ...findJobLeaks(ledgers),
    ...findNetworkLeaks(ledgers),
    ...findTemporaryLeaks(ledgers),
  ];
}

/**
 * Keeps of the first look's differences those that a second look saw too. The ledgers are read one after the other, so
 * what changes meanwhile looks like a difference once, and not twice.
 */
export function confirmLeaks(first: readonly Leak[], second: readonly Leak[]): Leak[] {
  const seenBefore = new Set(first.map(leakKey));
  return second.filter((leak) => seenBefore.has(leakKey(leak)));
}

function findMachineLeaks(ledgers: Ledgers): Leak[] {
  return ledgers.store.machines.flatMap((machine) => judgeMachine(ledgers, machine));
}

function findJobLeaks({ store, hostId }: Ledgers): Leak[] {
  return [...store.jobs.values()]
    .filter((job) => holds(hostId, job) && !job.hasMachine)
    .map(jobWithoutMachine);
}

function judgeMachine(ledgers: Ledgers, machine: MachineEntry): Leak[] {
  const { jobId, attempt } = machine;
  const job = ledgers.store.jobs.get(jobId);
  const leak = { kind: "machine_without_guest", name: `${guestName(jobId)}/${attempt}`, jobId } as const;
  if (!holds(ledgers.hostId, job, attempt)) {
    const cause = `The store says that attempt ${attempt} still has a guest, but that attempt is over and nothing is here. The orchestrator was stopped between removing the guest and writing that down.`;
    return [{ ...leak, cause, remedy: "finish" }];
  }
  const shouldBeHere = job?.state === "booting" || job?.state === "running";
  const isHere = ledgers.traces.domains.some((domain) => domain.jobId === jobId);
  if (ledgers.isDriven || !shouldBeHere || isHere) return [];
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

function findNetworkLeaks({ traces, now }: Ledgers): Leak[] {
  const used = new Set(traces.directories.map(({ macAddress }) => macAddress));
  const leases = traces.leases.filter((lease) => lease.expiresAt > now && !used.has(lease.macAddress));
  const interfaces = traces.interfaces.filter(({ macAddress }) => !used.has(macAddress));
  // A guest whose card is not written down may be the one behind an interface that nobody else has.
  const areCardsKnown = traces.domains.every(({ jobId }) =>
    traces.directories.some((directory) => directory.jobId === jobId && directory.macAddress !== null),
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

function findTemporaryLeaks({ temporary, now }: Ledgers): Leak[] {
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
