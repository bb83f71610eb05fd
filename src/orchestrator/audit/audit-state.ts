import { type Leak, type LeakKind, leakKey, leakKinds } from "../../core/audit/leak.ts";
import type { KeyedLock } from "../keyed-lock.ts";
import { createKeyedLock } from "../keyed-lock.ts";

/** A difference, and what became of it. */
export interface AuditedLeak extends Leak {
  /** True when it was mended. */
  readonly isFixed: boolean;
  /** Why it was not mended; empty where nobody tried. */
  readonly problem: string;
}

/** What the audits of one process have found so far. */
export interface AuditState {
  /** One audit after the other. */
  readonly lock: KeyedLock;
  /** Whether the process drives the jobs that are active on this host. */
  readonly isDriven: boolean;
  /** Differences that the last audit found and left, by kind. Every kind is there. */
  readonly left: Readonly<Record<LeakKind, number>>;
  /** Differences mended since the start, by kind. Every kind is there. */
  readonly mended: Readonly<Record<LeakKind, number>>;
  /** When the last audit ended, in ms since the epoch; null before the first. */
  readonly lastRunAt: number | null;
  /** Whether the last audit left this difference too, so that it has been told already. */
  wasLeft(leak: Leak): boolean;
  /** Notes the outcome of a whole audit. */
  record(leaks: readonly AuditedLeak[], at: number): void;
}

/** The state before the first audit. */
export function createAuditState(options: { isDriven: boolean }): AuditState {
  let left = noLeaks();
  let leftKeys = new Set<string>();
  let lastRunAt: number | null = null;
  const mended = noLeaks();
  return {
    lock: createKeyedLock(),
    isDriven: options.isDriven,
    mended,
    get left() {
      return left;
    },
    get lastRunAt() {
      return lastRunAt;
    },
    wasLeft: (leak) => leftKeys.has(leakKey(leak)),
    record(leaks, at) {
      left = noLeaks();
      for (const { kind, isFixed } of leaks) (isFixed ? mended : left)[kind] += 1;
      leftKeys = new Set(leaks.filter(({ isFixed }) => !isFixed).map(leakKey));
      lastRunAt = at;
    },
  };
}

function noLeaks(): Record<LeakKind, number> {
  return Object.fromEntries(leakKinds.map((kind) => [kind, 0])) as Record<LeakKind, number>;
}
