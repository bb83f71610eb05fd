import type { Selectable } from "kysely";
import type { HostFacts, HostRecord } from "../../core/hosts/host-facts.ts";
import { activeStates } from "../../core/job/job-state.ts";
import type { HostsTable } from "../schema/schema.ts";
import type { Store } from "../store.ts";

/** The most hosts that are listed: those heard of last. */
export const maxHostsListed = 1000;

/** What a host tells when it renews its lease. */
export interface LeaseRenewal {
  readonly hostId: string;
  readonly at: number;
  readonly facts: HostFacts;
}

/**
 * Renews a host's lease; the first time, it registers. `lostAt` tells when others had declared it lost (or it said
 * farewell), which ends with this: from then on it may claim again, and must not act on what it held before.
 */
export async function renewLease(store: Store, renewal: LeaseRenewal): Promise<{ lostAt: number | null }> {
  return store.write(async (trx) => {
    const { hostId: id, at } = renewal;
    const facts = JSON.stringify(renewal.facts);
    // This locks the row: a takeover comes wholly before, and is told here, or wholly after, and finds a new number.
    const renewed = await trx
      .insertInto("hosts")
      .values({ id, renewals: 1, renewed_at: at, registered_at: at, lost_at: null, facts })
      .onConflict((conflict) =>
        conflict.column("id").doUpdateSet((expression) => ({
          renewals: expression("hosts.renewals", "+", 1),
          renewed_at: at,
          facts,
        })),
      )
      .returning("lost_at")
      .executeTakeFirstOrThrow();
    if (renewed.lost_at === null) return { lostAt: null };
    await trx.updateTable("hosts").set({ lost_at: null }).where("id", "=", id).execute();
    return { lostAt: renewed.lost_at };
  });
}

/** A host's last word after its drain: nobody need wait for its lease to run out. It registers again when it is back. */
export async function leaveHosts(store: Store, farewell: LeaseRenewal): Promise<void> {
  await store.write(async (trx) => {
    await trx
      .updateTable("hosts")
      .set((expression) => ({
        renewals: expression("renewals", "+", 1),
        renewed_at: farewell.at,
        lost_at: farewell.at,
        facts: JSON.stringify(farewell.facts),
      }))
      .where("id", "=", farewell.hostId)
      .execute();
  });
}

/** Every host that ever shared this store, the one heard of last first; at most {@link maxHostsListed}. */
export async function listHosts(store: Store): Promise<HostRecord[]> {
  const rows = await store.db
    .selectFrom("hosts")
    .selectAll()
    .orderBy("renewed_at", "desc")
    .orderBy("id")
    .limit(maxHostsListed)
    .execute();
  return rows.map(toHost);
}

/** How many jobs of a host are active, and how many of these have their guests on hold. */
export interface ActiveJobs {
  readonly jobs: number;
  readonly onHold: number;
}

/** The active jobs of each host that has any. */
export async function countActiveByHost(store: Store): Promise<Map<string, ActiveJobs>> {
  const rows = await store.db
    .selectFrom("jobs")
    .leftJoin("machines", (join) =>
      join.onRef("machines.job_id", "=", "jobs.id").onRef("machines.attempt", "=", "jobs.attempt"),
    )
    .select((expression) => [
      "jobs.host_id",
      expression.fn.countAll<number>().as("jobs"),
      expression.fn.count<number>("machines.hold_until_at").as("on_hold"),
    ])
    .where("jobs.state", "in", activeStates)
    .groupBy("jobs.host_id")
    .execute();
  return new Map(
    rows.map((row) => [row.host_id ?? "", { jobs: Number(row.jobs), onHold: Number(row.on_hold) }]),
  );
}

function toHost(row: Selectable<HostsTable>): HostRecord {
  return {
    hostId: row.id,
    renewals: Number(row.renewals),
    renewedAt: Number(row.renewed_at),
    registeredAt: Number(row.registered_at),
    lostAt: row.lost_at === null ? null : Number(row.lost_at),
    facts: parseFacts(row.facts),
  };
}

/** What is assumed of a host whose facts say less: another version wrote them, and it must not hide the others. */
const unknownFacts: HostFacts = {
  hostname: "",
  version: "",
  startedAt: 0,
  backend: "noop",
  draining: false,
  drainRequestedAt: null,
  restartGraceSeconds: null,
  maxConcurrency: 0,
  maxHolds: 0,
  labelCaps: {},
  defaultLabel: "",
  labels: {},
  sizes: {},
  images: {},
  unfit: {},
  paused: null,
  apiUrl: null,
};

function parseFacts(text: string): HostFacts {
  try {
    return { ...unknownFacts, ...JSON.parse(text) };
  } catch {
    return unknownFacts;
  }
}
