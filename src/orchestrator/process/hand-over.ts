import type { Context, Log } from "../context.ts";
import type { Lease } from "../hosts/lease-loop.ts";
import type { MessageLoops } from "../messages/message-loops.ts";

/** How long the whole hand-over may take, in ms. After that the process ends at once, as `kill -9` ends it. */
export const handOverMaxMs = 60_000;

/** How long the last renewal of the lease may take, in ms: the database may be away. */
const lastRenewalMs = 10_000;

/** What is closed while guests run on. */
export interface HandOverParts {
  readonly lease: Pick<Lease, "handOver">;
  readonly messages: Pick<MessageLoops, "close">;
}

/** Bounds the hand-over from the signal on, whatever hangs in it. */
export function boundHandOver(log: Log): void {
  setTimeout(() => {
    log.warn(
      { handOverMaxMs },
      "the hand-over takes too long: ending at once; the next start adopts the guests",
    );
    process.exit(0);
  }, handOverMaxMs).unref();
}

/**
 * Leaves this host's guests to its next start: results go out, and the lease is renewed for `RESTART_GRACE`. No guest is
 * touched: the next start adopts them, as after `kill -9`. The caller closes the servers and the store.
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
      "stopped for a restart; the guests run on, and the next start adopts them",
    );
  } else if (config.databaseUrl !== null) {
    const { leaseTimeoutSeconds } = config;
    const what =
      "the lease could not be renewed for the restart: other hosts take the jobs over after LEASE_TIMEOUT";
    log.error({ leaseTimeoutSeconds }, what);
  }
}
