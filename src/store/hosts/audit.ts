import type { JobEntry, StoreInventory } from "../../core/audit/inventories.ts";
import { activeStates } from "../../core/job/job-state.ts";
import { listMachines } from "../jobs/machines.ts";
import type { Store } from "../store.ts";

/** Number of ids in one query: SQLite allows 32,766 parameters, and a list of this length is parsed quickly. */
const idsPerQuery = 500;

/** The jobs that {@link readStoreInventory} reads in addition to the active ones of the host. */
export interface StoreInventoryQuery {
  readonly hostId: string;
  /** The jobs that the host's other inventories name. */
  readonly jobIds: readonly string[];
  /** The jobs for which the host has a hypervisor's log. */
  readonly loggedJobIds: readonly string[];
}

/**
 * The store's inventory for an audit of one host. Machines are read before jobs: a job is claimed before its machine
 * exists, and ends after it.
 */
export async function readStoreInventory(store: Store, query: StoreInventoryQuery): Promise<StoreInventory> {
  const { hostId, jobIds, loggedJobIds } = query;
  const machines = await listMachines(store, hostId);
  const named = new Set([...jobIds, ...loggedJobIds, ...machines.map(({ jobId }) => jobId)]);
  const jobs = [...(await activeJobs(store, hostId)), ...(await jobsNamed(store, [...named]))];
  return {
    machines: machines.map(({ jobId, attempt }) => ({ jobId, attempt })),
    jobs: new Map(jobs.map((job) => [job.id, job])),
    ranHere: await ranOn(store, hostId, loggedJobIds),
  };
}

async function activeJobs(store: Store, hostId: string): Promise<JobEntry[]> {
  const rows = await jobEntries(store)
    .where("jobs.host_id", "=", hostId)
    .where("jobs.state", "in", activeStates)
    .execute();
  return rows.map(toEntry);
}

async function jobsNamed(store: Store, jobIds: readonly string[]): Promise<JobEntry[]> {
  const entries: JobEntry[] = [];
  for (let start = 0; start < jobIds.length; start += idsPerQuery) {
    const some = jobIds.slice(start, start + idsPerQuery);
    const rows = await jobEntries(store).where("jobs.id", "in", some).execute();
    entries.push(...rows.map(toEntry));
  }
  return entries;
}

/** Jobs with the machine of their current attempt, if it has one. */
function jobEntries(store: Store) {
  return store.db
    .selectFrom("jobs")
    .leftJoin("machines", (join) =>
      join.onRef("machines.job_id", "=", "jobs.id").onRef("machines.attempt", "=", "jobs.attempt"),
    )
    .select(["jobs.id", "jobs.state", "jobs.attempt", "jobs.host_id", "machines.job_id as machine"]);
}

type EntryRow = Awaited<ReturnType<ReturnType<typeof jobEntries>["execute"]>>[number];

function toEntry(row: EntryRow): JobEntry {
  return {
    id: row.id,
    state: row.state,
    attempt: row.attempt,
    hostId: row.host_id,
    hasMachine: row.machine !== null,
  };
}

async function ranOn(store: Store, hostId: string, jobIds: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>();
  for (let start = 0; start < jobIds.length; start += idsPerQuery) {
    const rows = await store.db
      .selectFrom("machines")
      .select("job_id")
      .where("job_id", "in", jobIds.slice(start, start + idsPerQuery))
      .where("host_id", "=", hostId)
      .execute();
    for (const { job_id } of rows) found.add(job_id);
  }
  return found;
}
