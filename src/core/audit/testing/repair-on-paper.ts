import type { Inventories, StoreInventory } from "../inventories.ts";
import type { Leak } from "../leak.ts";
import { holds } from "../ownership.ts";

/** The inventories after the repair of a leak according to its remedy. */
export function repairOnPaper(inventories: Inventories, leak: Leak): Inventories {
  const { remedy, jobId } = leak;
  if (remedy !== "remove" && remedy !== "finish") return inventories;
  if (jobId === null) {
    return { ...inventories, temporary: inventories.temporary.filter(({ path }) => path !== leak.name) };
  }
  const isOther = (entry: { jobId: string }) => entry.jobId !== jobId;
  const isGuestGone = remedy === "remove" || leak.kind === "job_without_machine";
  const { guestInventory } = inventories;
  return {
    ...inventories,
    guestInventory: isGuestGone
      ? {
          ...guestInventory,
          domains: guestInventory.domains.filter(isOther),
          directories: guestInventory.directories.filter(isOther),
          logs: guestInventory.logs.filter(isOther),
        }
      : guestInventory,
    store: repairStore(inventories, leak, jobId),
  };
}

function repairStore({ store, hostId }: Inventories, leak: Leak, jobId: string): StoreInventory {
  const job = store.jobs.get(jobId);
  const isEnded = leak.kind === "job_without_machine" && job;
  return {
    ...store,
    jobs: isEnded ? new Map(store.jobs).set(jobId, { ...job, state: "queued" }) : store.jobs,
    machines: store.machines.filter(
      (machine) => machine.jobId !== jobId || holds(hostId, store.jobs.get(jobId), machine.attempt),
    ),
  };
}
