import { setTimeout as delay } from "node:timers/promises";
import { confirmLeaks, findLeaks } from "../../core/audit/find-leaks.ts";
import type { Leak } from "../../core/audit/leak.ts";
import type { AuditedLeak } from "./audit-state.ts";
import { type AuditContext, type HostInventories, readInventories } from "./read-inventories.ts";
import { repairLeak } from "./repair-leak.ts";
import { reportLeak } from "./report-leak.ts";

/** Milliseconds between two comparisons: longer than a driver needs from one inventory to the next. */
const comparisonIntervalMs = 250;

/**
 * Maximum comparisons of one audit: on a busy host each may find new differences, which are left to the next
 * audit.
 */
const maxComparisons = 5;

/** Maximum differences of one audit; the next audit continues. */
const maxLeaks = 10_000;

/**
 * Compares this host's inventories, and with `fix` repairs the differences that can be repaired. Guests of
 * active jobs are left to their drivers; foreign guests are never listed. A process runs one audit at a time.
 */
export function audit(context: AuditContext, options: { fix: boolean }): Promise<AuditedLeak[]> {
  return context.audits.lock.run("audit", async () => {
    const { inventories, leaks } = await compareUntilConfirmed(context);
    const audited: AuditedLeak[] = [];
    for (const leak of leaks) {
      audited.push(
        options.fix ? await repairLeak(context, inventories, leak) : { ...leak, isFixed: false, problem: "" },
      );
    }
    if (options.fix) for (const leak of audited) reportLeak(context, leak);
    context.audits.record("host", audited, Date.now());
    return audited;
  });
}

/**
 * Confirms each difference by a second comparison. A difference that only the last comparison found may be a
 * guest that another process (a driver, another host on the same hypervisor) is removing, so one more
 * comparison follows. Differences that resolve automatically do not delay a start.
 */
async function compareUntilConfirmed(
  context: AuditContext,
): Promise<{ inventories: HostInventories; leaks: Leak[] }> {
  let before = await compare(context);
  if (isSettled(before.leaks)) return before;
  for (let comparisons = 2; ; comparisons += 1) {
    await delay(comparisonIntervalMs);
    const { inventories, leaks } = await compare(context);
    const confirmed = confirmLeaks(before.leaks, leaks);
    const isNew = (leak: Leak) => !confirmed.includes(leak);
    if (comparisons === maxComparisons || isSettled(leaks.filter(isNew)))
      return { inventories, leaks: confirmed };
    before = { inventories, leaks };
  }
}

function isSettled(leaks: readonly Leak[]): boolean {
  return leaks.every(({ remedy }) => remedy === "none");
}

async function compare(context: AuditContext): Promise<{ inventories: HostInventories; leaks: Leak[] }> {
  const inventories = await readInventories(context);
  return { inventories, leaks: findLeaks(inventories).slice(0, maxLeaks) };
}
