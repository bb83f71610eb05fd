import type { ShellSession, Shells } from "../../api/job-shell.ts";
import { holdEndsAt } from "../../core/job/hold.ts";
import type { Job, Machine } from "../../core/job/job.ts";
import { type ShellOrder, shellOrderText } from "../../core/job/shell-order.ts";
import type { Log } from "../../core/log.ts";
import type { Hypervisor } from "../../hypervisor/hypervisor.ts";
import { loadAttempt } from "../../store/jobs/attempts.ts";
import type { Store } from "../../store/store.ts";
import { GuestSession, type ShellLimits, shellLimits } from "./guest-session.ts";

/** The dependencies of {@link createGuestShells}. */
export interface GuestShellsParts {
  readonly store: Store;
  readonly hypervisor: Pick<Hypervisor, "openShell">;
  readonly log: Log;
  /** Default: {@link shellLimits}. */
  readonly limits?: ShellLimits;
}

/** The shells in guests of this host, while this process runs. */
export interface GuestShells extends Shells {
  close(): void;
}

/**
 * Records the shell of each guest: one at a time, the newest replaces the one before. A guest's runner
 * receives the order with its next call; the end of a session withdraws the order, and the runner ends the
 * shell.
 */
export function createGuestShells(parts: GuestShellsParts): GuestShells {
  const { store, hypervisor, log, limits = shellLimits } = parts;
  const sessions = new Map<string, GuestSession>();
  // A guest may have received numbers of a process before this one.
  let lastNumber = Math.floor(Date.now() / 1000) % 2 ** 31;
  const unsubscribe = store.subscribe((wake) => {
    if (wake.kind === "log" || sessions.size === 0) return;
    const concerned = wake.kind === "all" ? [...sessions.values()] : [sessions.get(wake.jobId)];
    for (const session of concerned) if (session) void endWhenOver(store, session);
  });

  const open = async (attempt: { job: Job; machine: Machine }, wanted: Omit<ShellOrder, "number">) => {
    const { id: jobId } = attempt.job;
    lastNumber += 1;
    const order = { ...wanted, number: lastNumber };
    sessions.get(jobId)?.end("taken_over");
    const guest = await hypervisor.openShell(jobId, order);
    const session: GuestSession = new GuestSession({
      jobId,
      guest,
      order,
      untilAt: attempt.machine.holdUntilAt ?? 0,
      limits,
      onOrder: () => store.wake({ kind: "job", jobId }),
      onEnd: () => {
        if (sessions.get(jobId) === session) sessions.delete(jobId);
        log.info({ jobId, shell: order.number }, "shell in a guest on hold ended");
      },
    });
    // Two callers may have opened a shell concurrently.
    sessions.get(jobId)?.end("taken_over");
    sessions.set(jobId, session);
    store.wake({ kind: "job", jobId });
    log.info({ jobId, shell: order.number, mode: order.mode }, "shell in a guest on hold opened");
    return session satisfies ShellSession;
  };

  return {
    open,
    orderFor(jobId) {
      const session = sessions.get(jobId);
      return session ? shellOrderText(session.order) : "";
    },
    close() {
      unsubscribe();
      for (const session of sessions.values()) session.end("lost");
    },
  };
}

/** Ends the session after a release of the guest, or a cancel of its job, through any host. */
async function endWhenOver(store: Store, session: GuestSession): Promise<void> {
  const attempt = await loadAttempt(store, session.jobId).catch(() => undefined);
  // While the store is unavailable, no release is possible.
  if (attempt === undefined) return;
  if (attempt === null || holdEndsAt(attempt.job, attempt.machine, Date.now()) === null)
    session.end("hold_over");
}
