import { setTimeout as delay } from "node:timers/promises";
import { confirmLeaks, findLeaks } from "../../core/audit/find-leaks.ts";
import type { Leak } from "../../core/audit/leak.ts";
import type { AuditedLeak } from "./audit-state.ts";
import { type AuditContext, type HostInventories, readInventories } from "./read-inventories.ts";
import { repairLeak } from "./repair-leak.ts";
import { reportLeak } from "./report-leak.ts";

/** How long after one look the next one comes, in ms: longer than a driver needs from one inventory to the next. */
const nextLookMs = 250;

/** The most looks of one audit: on a busy host each may see something new, which is left to the next audit. */
const maxLooks = 5;

/** The most differences that one audit deals with; the next one goes on. */
const maxLeaks = 10_000;

/**
 * Compares this host's inventories, and with `fix` repairs what can be repaired. Guests of active jobs are left to their
 * drivers; what is not ours is never listed in the first place. One audit of a process runs at a time.
 */
export function audit(context: AuditContext, options: { fix: boolean }): Promise<AuditedLeak[]> {
  return context.audits.lock.run("audit", async () => {
    const { inventories, leaks } = await lookUntilSure(context);
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
 * Only what two looks see is a difference. What only the last one saw may be what another remover (a driver, another host
 * on the same hypervisor) left of a guest in between, so one more follows; what goes by itself makes no start wait.
 */
async function lookUntilSure(
  context: AuditContext,
): Promise<{ inventories: HostInventories; leaks: Leak[] }> {
  let before = await look(context);
  if (isSettled(before.leaks)) return before;
  for (let looks = 2; ; looks += 1) {
    await delay(nextLookMs);
    const { inventories, leaks } = await look(context);
    const confirmed = confirmLeaks(before.leaks, leaks);
    const isNew = (leak: Leak) => !confirmed.includes(leak);
    if (looks === maxLooks || isSettled(leaks.filter(isNew))) return { inventories, leaks: confirmed };
    before = { inventories, leaks };
  }
}

function isSettled(leaks: readonly Leak[]): boolean {
  return leaks.every(({ remedy }) => remedy === "none");
}

async function look(context: AuditContext): Promise<{ inventories: HostInventories; leaks: Leak[] }> {
  const inventories = await readInventories(context);
  return { inventories, leaks: findLeaks(inventories).slice(0, maxLeaks) };
}
