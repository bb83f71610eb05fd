import { listSlots } from "../../store/jobs/capacity.ts";
import type { Context } from "../context.ts";
import type { Lifecycle } from "../drive/lifecycle-loop.ts";
import type { Lease } from "../hosts/lease-loop.ts";
import type { Loop } from "../loop.ts";
import type { MessageLoops } from "../messages/message-loops.ts";
import { removeFirewallOfGuests } from "../upkeep/firewall-loop.ts";
import { handOver } from "./hand-over.ts";
import { drain } from "./shutdown.ts";

/** The parts that are stopped in order; the caller closes the rest. */
export interface RunningParts {
  readonly lifecycle: Lifecycle;
  readonly lease: Lease;
  readonly messages: MessageLoops;
  readonly scheduler: Pick<Loop, "stop">;
  readonly firewallLoop: Pick<Loop, "stop">;
}

/**
 * Stops the host after a signal: first no more jobs are claimed, then either the guests are left to the next
 * start (SIGUSR2), or running jobs end and every guest is removed. Returns the exit code of the process.
 */
export async function goDown(context: Context, parts: RunningParts): Promise<number> {
  const { lifecycle, lease, messages } = parts;
  const intakeClosed = messages.closeIntake();
  lease.refresh();
  await parts.scheduler.stop();
  await intakeClosed;
  const isDown = await drain(context, lifecycle);
  // A host that is already empty after a drain has nothing to hand over, and stops normally.
  const isEmpty = isDown || (context.phase === "restarting" && (await isDrained(context)));
  if (context.phase === "restarting" && !isEmpty) {
    await handOver(context, { lease, messages });
    return 0;
  }
  await messages.close();
  if (!isEmpty) {
    const what = "stopped, but jobs of this host may still be active: the next start continues them";
    context.log.error({}, what);
    return 1;
  }
  await lease.leave();
  await parts.firewallLoop.stop();
  await removeFirewallOfGuests(context);
  context.log.info({}, "stopped; all guests of this host are removed");
  return 0;
}

async function isDrained({ drainRecord, store, identity }: Context): Promise<boolean> {
  if (drainRecord.since() === null) return false;
  const jobs = await listSlots(store, identity.hostId).catch(() => null);
  return jobs?.length === 0;
}
