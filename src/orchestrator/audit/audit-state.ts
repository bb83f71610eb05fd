import { type Leak, type LeakKind, leakKey, leakKinds } from "../../core/audit/leak.ts";
import type { KeyedLock } from "../keyed-lock.ts";
import { createKeyedLock } from "../keyed-lock.ts";

/** A difference, and the result of its repair. */
export interface AuditedLeak extends Leak {
  /** True when the difference was repaired. */
  readonly isFixed: boolean;
  /** The reason why the difference was not repaired; empty when no repair was tried. */
  readonly problem: string;
}

/** The part of an audit: the guests of a host with all their resources, or the blobs. */
export type AuditPart = "host" | "blobs";

/** The results of the audits of one process. */
export interface AuditState {
  /** Serialises audits. */
  readonly lock: KeyedLock;
  /** True when this process drives the active jobs of this host. */
  readonly isDriven: boolean;
  /** Differences that remained after the last audit, by kind; all kinds are present. */
  readonly left: Readonly<Record<LeakKind, number>>;
  /** Differences repaired since the start, by kind; all kinds are present. */
  readonly repaired: Readonly<Record<LeakKind, number>>;
  /** The end of the last audit of the host, in ms since the epoch; null before the first. */
  readonly lastRunAt: number | null;
  /** True when this difference also remained after the last audit, so that it is already logged. */
  wasLeft(leak: Leak): boolean;
  /** Records the result of a complete audit of this host's guests and files, or of its blobs. */
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
