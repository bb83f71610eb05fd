/** The PostgreSQL and the RabbitMQ that the files of a test run share: a database and a virtual host for each file. */

import { randomUUID } from "node:crypto";
import {
  administerPostgres,
  type PrivatePostgres,
  startPrivatePostgres,
  urlOfDatabase,
} from "./private-postgres.ts";
import { missingRabbitmq, type PrivateRabbitmq, startPrivateRabbitmq } from "./private-rabbitmq.ts";
import {
  addUserWithoutRights,
  addVirtualHost,
  administrator,
  type QueueState,
  readQueueState,
  removeVirtualHost,
} from "./rabbitmq-node.ts";

/** Names the variable with the URL of an administrator's database on the PostgreSQL of the run. */
const postgresVariable = "SOLSTICE_TEST_POSTGRES";

/** Names the variable with a {@link RunRabbitmq} as JSON. */
const rabbitmqVariable = "SOLSTICE_TEST_RABBITMQ";

/** Clients of all files that run at the same time; each orchestrator has a connection pool. */
const connectionsOfRun = 500;

type RunRabbitmq = Pick<PrivateRabbitmq, "url" | "node">;

/** A PostgreSQL server that holds the databases of a test file. `stop` removes them. */
export type SharedPostgres = Omit<PrivatePostgres, "kill" | "start">;

/** A virtual host of one test file. */
export interface SharedRabbitmq {
  /** The URL of the virtual host, with the name and password of a user who has all rights in it. */
  readonly url: string;
  /** The same URL for a user who may not declare. */
  readonly urlWithoutRights: string;
  /** The current state of a queue; null when it does not exist. */
  queueState(name: string): Promise<QueueState | null>;
  stop(): Promise<void>;
}

/** The servers of a run. */
export interface RunServers {
  /** Environment variables for the processes of the test files. */
  readonly environment: Record<string, string>;
  stop(): Promise<void>;
}

/** Starts the servers of a run for its runner. Without RabbitMQ, files that need it are skipped. */
export async function startServers(): Promise<RunServers> {
  const starts: Promise<RunServers>[] = [
    startPostgresOfRun(),
    ...(missingRabbitmq() ? [] : [startRabbitmqOfRun()]),
  ];
  const results = await Promise.allSettled(starts);
  const started = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const stop = async () => void (await Promise.all(started.map((server) => server.stop())));
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  return { environment: Object.assign({}, ...started.map(({ environment }) => environment)), stop };
}

async function startPostgresOfRun(): Promise<RunServers> {
  const server = await startPrivatePostgres({ connections: connectionsOfRun });
  return { environment: { [postgresVariable]: server.url("postgres") }, stop: server.stop };
}

async function startRabbitmqOfRun(): Promise<RunServers> {
  const { url, node, stop } = await startPrivateRabbitmq();
  const run: RunRabbitmq = { url, node };
  return { environment: { [rabbitmqVariable]: JSON.stringify(run) }, stop };
}

type Environment = Readonly<Record<string, string | undefined>>;

/** True in a process of a run that has shared servers. */
export function hasServersOfRun(): boolean {
  return process.env[postgresVariable] !== undefined;
}

/** The databases of this test file, on the server of the run; outside of a run, on a private server. */
export async function sharedPostgres(environment: Environment = process.env): Promise<SharedPostgres> {
  const server = environment[postgresVariable];
  if (server === undefined) return startPrivatePostgres();
  const file = randomUUID().slice(0, 8);
  const created = new Set<string>();
  const url = (database: string) => urlOfDatabase(server, database);
  const administer = (statement: string) => administerPostgres(server, statement);
  let databases = 0;
  const remove = async (database: string) => {
    created.delete(database);
    await administer(`drop database if exists ${new URL(database).pathname.slice(1)} with (force)`);
  };
  return {
    url,
    async createDatabase(options = "") {
      databases += 1;
      const name = `test_${file}_${databases}`;
      await administer(`create database ${name} ${options}`);
      created.add(url(name));
      return url(name);
    },
    removeDatabase: remove,
    stop: async () => void (await Promise.all([...created].map(remove))),
  };
}

/** The virtual host of this test file, on the broker of the run; outside of a run, on a private broker. */
export async function sharedRabbitmq(environment: Environment = process.env): Promise<SharedRabbitmq> {
  const shared = environment[rabbitmqVariable];
  const own = shared === undefined ? await startPrivateRabbitmq() : null;
  const { url, node }: RunRabbitmq = own ?? JSON.parse(shared ?? "");
  const virtualHost = `test-${randomUUID()}`;
  await addVirtualHost(node, virtualHost);
  const weak = { username: `weak-${virtualHost}`, password: "s3cret" };
  await addUserWithoutRights(node, weak, virtualHost);
  const urlOf = (user: object) => Object.assign(new URL(url), { pathname: virtualHost, ...user }).href;
  return {
    url: urlOf(administrator),
    urlWithoutRights: urlOf(weak),
    queueState: (name) => readQueueState(node, name, virtualHost),
    async stop() {
      await removeVirtualHost(node, virtualHost);
      await own?.stop();
    },
  };
}
