import { lstat } from "node:fs/promises";
import { findLeaks } from "../../core/audit/find-leaks.ts";
import { type Leak, leakKey } from "../../core/audit/leak.ts";
import { errorText, SolsticeError } from "../../core/errors.ts";
import type { AuditedLeak } from "./audit-state.ts";
import { finishJob } from "./finish-job.ts";
import { finishMachines } from "./finish-machines.ts";
import { type AuditContext, type HostInventories, readStore } from "./read-inventories.ts";

/** Repairs one difference as its remedy says, after a last look. Never rejects: what went wrong is in the answer. */
export async function repairLeak(
  context: AuditContext,
  inventories: HostInventories,
  leak: Leak,
): Promise<AuditedLeak> {
  const refusal = refusals[leak.remedy];
  if (refusal !== undefined) return { ...leak, isFixed: false, problem: refusal };
  try {
    await act(context, inventories, leak);
    return { ...leak, isFixed: true, problem: "" };
  } catch (error) {
    return { ...leak, isFixed: false, problem: errorText(error) };
  }
}

/** What cannot be repaired from here, and why. */
const refusals: Partial<Record<Leak["remedy"], string>> = {
  none: "It goes by itself.",
  by_hand: "Only a person can tell whether it is needed.",
  adopt: "Start the orchestrator: it takes the job up.",
};

async function act(context: AuditContext, inventories: HostInventories, leak: Leak): Promise<void> {
  const { jobId } = leak;
  if (jobId === null) return removeTemporary(inventories, leak);
  // The driver of the job holds this lock while it works, and only a driver makes guests.
  await context.guestLock.run(jobId, async () => {
    if (!(await isStillThere(context, inventories, leak))) return;
    if (leak.kind === "job_without_machine") return finishJob(context, jobId);
    if (leak.remedy === "remove") await removeGuest(context, leak, jobId);
    await finishMachines(context, jobId);
  });
}

/** Looks again at what can have changed since the difference was found: what exists may have got an owner. */
async function isStillThere(
  context: AuditContext,
  inventories: HostInventories,
  leak: Leak,
): Promise<boolean> {
  const isOfOtherAttempt = leak.kind === "guest_of_other_attempt";
  // A guest whose job is active may have been replaced by its driver; the others can only have gone.
  const guestInventory = isOfOtherAttempt
    ? await context.hypervisor.listInventory()
    : inventories.guestInventory;
  const store = await readStore(context, { guestInventory });
  const found = findLeaks({ ...inventories, guestInventory, store, now: Date.now() });
  return found.some((one) => leakKey(one) === leakKey(leak));
}

async function removeGuest(context: AuditContext, leak: Leak, jobId: string): Promise<void> {
  await context.hypervisor.remove(jobId);
  // Of the hypervisor's log `remove` takes what it may; only here does the log itself matter.
  if (leak.kind === "stale_temporary_file" && (await lstat(leak.name).catch(() => null))) {
    throw new SolsticeError("hypervisor_failed", `${leak.name} cannot be removed.`, {
      remedy: "It belongs to another user: run as root, or remove it by hand.",
    });
  }
}

async function removeTemporary(inventories: HostInventories, leak: Leak): Promise<void> {
  await inventories.temporary.find(({ path }) => path === leak.name)?.remove();
}
