import { lstat } from "node:fs/promises";
import { findLeaks } from "../../core/audit/find-leaks.ts";
import { type Leak, leakKey } from "../../core/audit/leak.ts";
import { errorText, SolsticeError } from "../../core/errors.ts";
import type { AuditedLeak } from "./audit-state.ts";
import { finishJob } from "./finish-job.ts";
import { finishMachines } from "./finish-machines.ts";
import { type AuditContext, type HostInventories, readStore } from "./read-inventories.ts";

/** Repairs one difference by its remedy, after a last check. Never rejects: the result has the error. */
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

/** The reasons why some remedies cannot be applied here. */
const refusals: Partial<Record<Leak["remedy"], string>> = {
  none: "Resolves automatically.",
  by_hand: "Needs a person to decide whether it is still used.",
  adopt: "Start the orchestrator, which adopts the guest.",
};

async function act(context: AuditContext, inventories: HostInventories, leak: Leak): Promise<void> {
  const { jobId } = leak;
  if (jobId === null) return removeTemporary(inventories, leak);
  // The job's driver holds this lock while it acts, and only drivers create guests.
  await context.guestLock.run(jobId, async () => {
    if (!(await isStillThere(context, inventories, leak))) return;
    if (leak.kind === "job_without_machine") return finishJob(context, jobId);
    if (leak.remedy === "remove") await removeGuest(context, leak, jobId);
    await finishMachines(context, jobId);
  });
}

/**
 * Checks again what can have changed since the difference was found: an existing resource may now have an
 * owner.
 */
async function isStillThere(
  context: AuditContext,
  inventories: HostInventories,
  leak: Leak,
): Promise<boolean> {
  const isOfOtherAttempt = leak.kind === "guest_of_other_attempt";
  // The driver of an active job may have replaced its guest; other guests can only have been removed.
  const guestInventory = isOfOtherAttempt
    ? await context.hypervisor.listInventory()
    : inventories.guestInventory;
  const store = await readStore(context, { guestInventory });
  const found = findLeaks({ ...inventories, guestInventory, store, now: Date.now() });
  return found.some((one) => leakKey(one) === leakKey(leak));
}

async function removeGuest(context: AuditContext, leak: Leak, jobId: string): Promise<void> {
  await context.hypervisor.remove(jobId);
  // `remove` deletes the hypervisor's log if it is allowed to; here the log itself is the leak.
  if (leak.kind === "stale_temporary_file" && (await lstat(leak.name).catch(() => null))) {
    throw new SolsticeError("hypervisor_failed", `${leak.name} cannot be removed.`, {
      remedy: "The file belongs to another user: run as root, or remove it manually.",
    });
  }
}

async function removeTemporary(inventories: HostInventories, leak: Leak): Promise<void> {
  await inventories.temporary.find(({ path }) => path === leak.name)?.remove();
}
