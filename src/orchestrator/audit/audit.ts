import { setTimeout as delay } from "node:timers/promises";
import { confirmLeaks, findLeaks } from "../../core/audit/find-leaks.ts";
import type { Leak } from "../../core/audit/leak.ts";
import type { AuditedLeak } from "./audit-state.ts";
import { mendLeak } from "./mend-leak.ts";
import { type AuditContext, type HostLedgers, readLedgers } from "./read-ledgers.ts";

/** How long after the first look the second one comes, in ms: longer than a driver needs from one ledger to the next. */
const secondLookMs = 250;

/** The most differences that one audit deals with; the next one goes on. */
const maxLeaks = 10_000;

/**
 * Compares this host's five ledgers, and with `fix` mends what can be mended. Guests of active jobs are left to their
 * drivers; what is not ours is never listed in the first place. One audit of a process runs at a time.
 */
export function audit(context: AuditContext, options: { fix: boolean }): Promise<AuditedLeak[]> {
  return context.audits.lock.run("audit", async () => {
    const { ledgers, leaks } = await lookTwice(context);
    const audited: AuditedLeak[] = [];
    for (const leak of leaks) {
      audited.push(
        options.fix ? await mendLeak(context, ledgers, leak) : { ...leak, isFixed: false, problem: "" },
      );
    }
    if (options.fix) for (const leak of audited) tell(context, leak);
    context.audits.record(audited, Date.now());
    return audited;
  });
}

/** Only what two looks see is a difference; what goes by itself does not make a start wait for the second. */
async function lookTwice(context: AuditContext): Promise<{ ledgers: HostLedgers; leaks: Leak[] }> {
  const first = await look(context);
  if (first.leaks.every(({ remedy }) => remedy === "none")) return first;
  await delay(secondLookMs);
  const { ledgers, leaks } = await look(context);
  return { ledgers, leaks: confirmLeaks(first.leaks, leaks) };
}

async function look(context: AuditContext): Promise<{ ledgers: HostLedgers; leaks: Leak[] }> {
  const ledgers = await readLedgers(context);
  return { ledgers, leaks: findLeaks(ledgers).slice(0, maxLeaks) };
}

function tell({ log, audits }: AuditContext, leak: AuditedLeak): void {
  const { isFixed, problem, ...facts } = leak;
  if (isFixed) log.warn(facts, "mended a difference between this host and the store");
  else if (leak.remedy !== "none" && !audits.wasLeft(leak))
    log.warn({ ...facts, problem }, "a difference between this host and the store is left");
}
