import type { Leak } from "../leak.ts";
import type { Ledgers, StoreLedger } from "../ledgers.ts";
import { holds } from "../ownership.ts";

/** The ledgers as they are after a difference was mended as its remedy says. */
export function mendOnPaper(ledgers: Ledgers, leak: Leak): Ledgers {
  const { remedy, jobId } = leak;
  if (remedy !== "remove" && remedy !== "finish") return ledgers;
  if (jobId === null) {
    return { ...ledgers, temporary: ledgers.temporary.filter(({ path }) => path !== leak.name) };
  }
  const isOther = (trace: { jobId: string }) => trace.jobId !== jobId;
  const isGuestGone = remedy === "remove" || leak.kind === "job_without_machine";
  const { traces } = ledgers;
  return {
    ...ledgers,
    traces: isGuestGone
      ? {
          ...traces,
          domains: traces.domains.filter(isOther),
          directories: traces.directories.filter(isOther),
          logs: traces.logs.filter(isOther),
        }
      : traces,
    store: mendStore(ledgers, leak, jobId),
  };
}

function mendStore({ store, hostId }: Ledgers, leak: Leak, jobId: string): StoreLedger {
  const job = store.jobs.get(jobId);
  const isEnded = leak.kind === "job_without_machine" && job;
  return {
    ...store,
    jobs: isEnded ? new Map(store.jobs).set(jobId, { ...job, state: "queued" }) : store.jobs,
    machines: store.machines.filter(
      (machine) => machine.jobId !== jobId || holds(hostId, store.jobs.get(jobId), machine.attempt),
    ),
  };
}
