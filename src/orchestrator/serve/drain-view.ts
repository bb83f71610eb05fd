import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DrainAction } from "../../api/job-service.ts";
import type { DrainResponseSchema } from "../../gen/solstice/v1/jobs_pb.ts";
import { listSlots } from "../../store/jobs/capacity.ts";
import type { Context } from "../context.ts";
import type { Lease } from "../hosts/lease-loop.ts";
import type { Scheduler } from "../schedule/schedule-loop.ts";

/** The dependencies of a change of the drain. */
export interface DrainParts {
  readonly lease: Pick<Lease, "refresh">;
  readonly scheduler: Pick<Scheduler, "claimsEnded">;
}

/** Serves the API's Drain. With `start`, no job is claimed after the response: its list of jobs is final. */
export async function drainView(
  context: Context,
  action: DrainAction,
  { lease, scheduler }: DrainParts,
): Promise<MessageInitShape<typeof DrainResponseSchema>> {
  const { drainRecord, identity, log, store } = context;
  const before = drainRecord.since();
  if (action === "start") drainRecord.begin(Date.now());
  if (action === "end") drainRecord.end();
  const since = drainRecord.since();
  if (since !== before) {
    log.info({ draining: since !== null }, since === null ? "drain ended" : "drain started");
    lease.refresh();
    store.wake({ kind: "all" });
  }
  if (since !== null) await scheduler.claimsEnded();
  const jobs = await listSlots(store, identity.hostId);
  return {
    hostId: identity.hostId,
    ...(since !== null && { drainingSinceMs: BigInt(since) }),
    jobs: jobs.map(({ id, label, state, onHold }) => ({ id, label, state, onHold })),
  };
}
