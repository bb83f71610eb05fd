import type { Selectable } from "kysely";
import type { HostFacts, HostRecord } from "../../core/hosts/host-facts.ts";
import { activeStates } from "../../core/job/job-state.ts";
import type { HostsTable } from "../schema/schema.ts";
import type { Store } from "../store.ts";

/** Maximum number of hosts that are listed: those that renewed last. */
export const maxHostsListed = 1000;

/** The data of a lease renewal. */
export interface LeaseRenewal {
  readonly hostId: string;
  readonly at: number;
  readonly facts: HostFacts;
}

/**
 * Renews a host's lease; the first renewal registers the host. `lostAt` is the time at which other hosts had declared
 * it lost (or it had left), which ends now: from now on the host may claim again, and must not act on jobs that it held
 * before.
 */
export async function renewLease(store: Store, renewal: LeaseRenewal): Promise<{ lostAt: number | null }> {
  return store.write(async (trx) => {
    const { hostId: id, at } = renewal;
    const facts = JSON.stringify(renewal.facts);
    // Locks the row: a takeover either commits before this, and `lostAt` reports it, or afterwards finds a new number.
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

/**
 * Records a host's departure after its drain, so that other hosts need not wait until its lease expires. The host
 * registers again when it is back.
 */
export async function leaveHosts(store: Store, departure: LeaseRenewal): Promise<void> {
  await store.write(async (trx) => {
    await trx
      .updateTable("hosts")
      .set((expression) => ({
        renewals: expression("renewals", "+", 1),
        renewed_at: departure.at,
        lost_at: departure.at,
        facts: JSON.stringify(departure.facts),
      }))
      .where("id", "=", departure.hostId)
      .execute();
  });
}

/** Every host that ever used this store, the latest renewal first; at most {@link maxHostsListed}. */
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

/** Number of active jobs of a host, and number of these whose guests are on hold. */
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

/** Defaults for facts that another version wrote without these fields: such a host must not hide the others. */
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
