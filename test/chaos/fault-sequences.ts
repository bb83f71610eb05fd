import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../support/random.ts";
import { type Cluster, type Host, queryDatabase } from "./cluster.ts";
import type { Fault } from "./faults.ts";

/** Faults that follow one another; several decks run side by side. */
export interface FaultDeck {
  readonly name: "broker" | "database" | "hosts";
  /** Length of the pause between two faults of this deck, in ms. */
  readonly calmMs: readonly [min: number, max: number];
  readonly faults: readonly Fault[];
}

/** Longer than a lease and than several retries of any operation, in ms. */
const longOutageMs = [8000, 9000] as const;

const shortOutageMs = [50, 3000] as const;

/**
 * Longest time until a host that cannot renew its lease is marked as lost: the database may be unavailable, and a
 * lease may start again. In ms.
 */
const lossPatienceMs = 120_000;

const pollMs = 200;

/**
 * A short storm causes a few faults of each deck once, which the seed chooses; a long storm causes all of them again
 * and again.
 */
export type StormLength = "short" | "long";

/** Number of faults of each deck in a short storm. */
const faultsOfShortStorm = { broker: 1, database: 1, hosts: 2 };

/** Factor by which the pauses between faults are shorter in a short storm. */
const hasteOfShortStorm = 4;

/** The faults that happen to a cluster in a storm. The seed chooses the affected host. */
export function faultDecks(cluster: Cluster, random: Random, storm: StormLength): FaultDeck[] {
  const decks = allDecks(cluster, random.fork("hosts"));
  if (storm === "long") return decks;
  return decks.map(({ name, calmMs: [min, max], faults }) => ({
    name,
    calmMs: [min / hasteOfShortStorm, max / hasteOfShortStorm],
    faults: random.fork(name).shuffle(faults).slice(0, faultsOfShortStorm[name]),
  }));
}

/** All faults. */
function allDecks(cluster: Cluster, random: Random): FaultDeck[] {
  const { broker, database, hosts } = cluster;
  const kill = { name: "kill -9 the broker", begin: () => broker.kill(), end: () => broker.start() };
  const outage = { begin: () => database.kill(), end: () => database.start() };
  const pick = () => random.pick(hosts);
  return [
    { name: "broker", calmMs: [6000, 14_000], faults: [{ ...kill, awayMs: shortOutageMs }] },
    {
      name: "database",
      calmMs: [4000, 10_000],
      faults: [
        { ...outage, name: "kill -9 the database", awayMs: shortOutageMs },
        { ...outage, name: "kill -9 the database for long", awayMs: longOutageMs },
      ],
    },
    {
      name: "hosts",
      calmMs: [500, 3000],
      faults: [
        killHosts("kill -9 a host", () => [pick()]),
        killHosts("kill -9 both hosts", () => hosts),
        stopHost(cluster, pick),
        cutHost(cluster, pick),
      ],
    },
  ];
}

function killHosts(name: string, choose: () => readonly Host[]): Fault {
  let victims: readonly Host[] = [];
  return {
    name,
    awayMs: [50, 5000],
    async begin() {
      victims = choose();
      await Promise.all(victims.map((host) => host.current().stop("SIGKILL")));
    },
    end: async () => void (await Promise.all(victims.map((host) => host.start()))),
  };
}

/**
 * Suspends a host, like a machine whose hypervisor was suspended: it resumes in the middle of its work, after other
 * hosts took its jobs over.
 */
function stopHost(cluster: Cluster, choose: () => Host): Fault {
  let victim = choose();
  return {
    name: "stop a host until it is lost (SIGSTOP)",
    awayMs: [0, 2000],
    async begin() {
      victim = choose();
      victim.current().signal("SIGSTOP");
    },
    until: () => untilLost(cluster, victim),
    end: async () => victim.current().signal("SIGCONT"),
  };
}

function cutHost(cluster: Cluster, choose: () => Host): Fault {
  let victim = choose();
  return {
    name: "cut a host's wire to the database until it is lost",
    awayMs: [0, 2000],
    async begin() {
      victim = choose();
      victim.wire.cut();
    },
    until: () => untilLost(cluster, victim),
    end: async () => victim.wire.repair(),
  };
}

async function untilLost({ databaseUrl }: Cluster, { caps }: Host): Promise<void> {
  const query = "select id from hosts where id = $1 and lost_at is not null";
  for (const end = Date.now() + lossPatienceMs; Date.now() < end; await delay(pollMs)) {
    const rows = await queryDatabase(databaseUrl, query, [caps.hostId]).catch(() => []);
    if (rows.length > 0) return;
  }
  throw new Error(`host ${caps.hostId} was not marked as lost, though it does not renew its lease`);
}
