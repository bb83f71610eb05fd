import { countedSlots } from "../../core/job/hold.ts";
import { freeSlotOn } from "../../core/schedule/free-slot.ts";
import { type DecidingHost, isFreshFrom } from "../../core/schedule/other-host-first.ts";
import type { QueuedJob } from "../../core/schedule/scheduler.ts";
import { listSlots } from "../../store/jobs/capacity.ts";
import type { Context } from "../context.ts";
import { otherHosts } from "../hosts/host-facts.ts";

/**
 * The free slots of other hosts, for the choice among `jobs`. The store is read only if it matters: while a
 * job waits whose last attempt has just ended here.
 */
export async function freeSlotsOfOthers(
  context: Context,
  jobs: readonly QueuedJob[],
): Promise<DecidingHost["othersHaveFreeSlot"]> {
  const host = { hostId: context.identity.hostId, now: Date.now() };
  if (!jobs.some((job) => isFreshFrom(job.lastAttempt, host))) return () => false;
  const others = (await otherHosts(context)).filter(({ lostAt }) => lostAt === null);
  const rooms = await Promise.all(
    others.map(async (other) =>
      freeSlotOn(other, countedSlots(await listSlots(context.store, other.hostId), other.facts.maxHolds)),
    ),
  );
  return (job) => rooms.some((hasFreeSlot) => hasFreeSlot(job));
}
