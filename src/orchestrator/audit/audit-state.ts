import { type Leak, type LeakKind, leakKey, leakKinds } from "../../core/audit/leak.ts";
import type { KeyedLock } from "../keyed-lock.ts";
import { createKeyedLock } from "../keyed-lock.ts";

/** A difference, and what became of it. */
export interface AuditedLeak extends Leak {
  /** True when it was repaired. */
  readonly isFixed: boolean;
  /** Why it was not repaired; empty where nobody tried. */
  readonly problem: string;
}

/** What is compared together: the guests of a host with all that they need, or the blobs. */
export type AuditPart = "host" | "blobs";

/** What the audits of one process have found so far. */
export interface AuditState {
  /** One audit after the other. */
  readonly lock: KeyedLock;
  /** Whether the process drives the jobs that are active on this host. */
  readonly isDriven: boolean;
  /** Differences that the last audit found and left, by kind. Every kind is there. */
  readonly left: Readonly<Record<LeakKind, number>>;
  /** Differences repaired since the start, by kind. Every kind is there. */
  readonly repaired: Readonly<Record<LeakKind, number>>;
  /** When the last audit of the host ended, in ms since the epoch; null before the first. */
  readonly lastRunAt: number | null;
  /** Whether the last audit left this difference too, so that it has been told already. */
  wasLeft(leak: Leak): boolean;
  /** Notes the outcome of a whole audit of the guests and files of this host, or of its blobs. */
  record(part: AuditPart, leaks: readonly AuditedLeak[], at: number): void;
}

/** The state before the first audit. */
export function createAuditState(options: { isDriven: boolean }): AuditState {
  const left: Record<AuditPart, readonly AuditedLeak[]> = { host: [], blobs: [] };
  let leftKeys = new Set<string>();
  let lastRunAt: number | null = null;
  const repaired = noLeaks();
  return {
    lock: createKeyedLock(),
    isDriven: options.isDriven,
    repaired,
    get left() {
      const counts = noLeaks();
      for (const { kind } of [...left.host, ...left.blobs]) counts[kind] += 1;
      return counts;
    },
    get lastRunAt() {
      return lastRunAt;
    },
    wasLeft: (leak) => leftKeys.has(leakKey(leak)),
    record(part, leaks, at) {
      left[part] = leaks.filter(({ isFixed }) => !isFixed);
      for (const { kind, isFixed } of leaks) if (isFixed) repaired[kind] += 1;
      leftKeys = new Set([...left.host, ...left.blobs].map(leakKey));
      if (part === "host") lastRunAt = at;
    },
  };
}

function noLeaks(): Record<LeakKind, number> {
  return Object.fromEntries(leakKinds.map((kind) => [kind, 0])) as Record<LeakKind, number>;
}
