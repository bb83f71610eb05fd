import type { Context, Log } from "../context.ts";
import type { Lease } from "../hosts/lease-loop.ts";
import type { MessageLoops } from "../messages/message-loops.ts";

/** Maximum time of the hand-over, in ms. After it the process ends at once, like after `kill -9`. */
export const handOverMaxMs = 60_000;

/** Maximum time of the last lease renewal, in ms: the database may be unavailable. */
const lastRenewalMs = 10_000;

/** The parts that are closed while guests keep running. */
export interface HandOverParts {
  readonly lease: Pick<Lease, "handOver">;
  readonly messages: Pick<MessageLoops, "close">;
}

/** Limits the time of the hand-over from the signal on, even if a part of it hangs. */
export function boundHandOver(log: Log): void {
  setTimeout(() => {
    log.warn({ handOverMaxMs }, "hand-over timed out: ending at once; the next start adopts the guests");
    process.exit(0);
  }, handOverMaxMs).unref();
}

/**
 * Leaves this host's guests to its next start: publishes results, and renews the lease for `RESTART_GRACE`.
 * No guest is changed: the next start adopts them, as after `kill -9`. The caller closes the servers and the
 * store.
 */
export async function handOver(
  context: Pick<Context, "config" | "log">,
  { lease, messages }: HandOverParts,
): Promise<void> {
  const { config, log } = context;
  await messages.close();
  const isHeld = await lease.handOver(lastRenewalMs);
  if (isHeld) {
    const { restartGraceSeconds } = config;
    log.info(
      { restartGraceSeconds },
      "stopped for a restart; guests keep running, and the next start adopts them",
    );
  } else if (config.databaseUrl !== null) {
    const { leaseTimeoutSeconds } = config;
    const what = "lease renewal for the restart failed: other hosts take over the jobs after LEASE_TIMEOUT";
    log.error({ leaseTimeoutSeconds }, what);
  }
}
