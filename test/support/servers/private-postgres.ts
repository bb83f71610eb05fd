import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { memoryDirectory } from "../memory-directory.ts";

/**
 * Time limit of a start, and interval of its checks, in ms. After `kill`, a start waits for the orphan processes of
 * the last server.
 */
const startTimeoutMs = 60_000;
const startPollMs = 25;

/** The only role of a private server; it has no password. */
const role = "solstice";

/** A real PostgreSQL server for one test file, which holds only test data. */
export interface PrivatePostgres {
  /** The connection URL of a database; the same before and after a restart. */
  url(database: string): string;
  /** Creates an empty database and returns its URL; `options` are those of `create database`. */
  createDatabase(options?: string): Promise<string>;
  /** Removes a database that is no longer needed: each takes 8 MB. */
  removeDatabase(url: string): Promise<void>;
  /** `kill -9` of the server and all its processes. */
  kill(): Promise<void>;
  /** Starts the server again, on the same data and port; resolves when it accepts connections. */
  start(): Promise<void>;
  /** Stops the server and removes its data. */
  stop(): Promise<void>;
}

/** Optional settings of a private server. */
export interface PostgresOptions {
  /**
   * True: commits wait for the disk, as in production (for measurements). Otherwise the data are in memory: they
   * survive `kill`, but no power failure.
   */
  readonly flush?: boolean;
  /** Largest number of connected clients. */
  readonly connections?: number;
}

/**
 * Starts a private PostgreSQL on loopback, on a free port, with its data in a new directory. The server ends with
 * this process, also when this process is killed. For root it runs as the user `postgres`, since PostgreSQL refuses
 * to run as root.
 */
export async function startPrivatePostgres(options: PostgresOptions = {}): Promise<PrivatePostgres> {
  const { flush = false, connections = 200 } = options;
  const directory = createDirectory(flush ? tmpdir() : memoryDirectory());
  initialise(directory);
  const port = await freePort();
  const start = () => startServer({ directory, port, flush, connections });
  const administrator = `postgres://${role}@127.0.0.1:${port}/postgres`;
  const url = (database: string) => urlOfDatabase(administrator, database);
  let server = await start();
  const administer = (statement: string) => administerPostgres(administrator, statement);
  let databases = 0;
  return {
    url,
    async createDatabase(options = "") {
      databases += 1;
      const name = `test_${databases}`;
      await administer(`create database ${name} ${options}`);
      return url(name);
    },
    async removeDatabase(removed) {
      await administer(`drop database ${new URL(removed).pathname.slice(1)} with (force)`);
    },
    kill: () => killAll(server),
    async start() {
      server = await start();
    },
    async stop() {
      await killAll(server);
      rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    },
  };
}

/** The URL of another database of the server that `url` names. */
export function urlOfDatabase(url: string, database: string): string {
  return Object.assign(new URL(url), { pathname: database }).href;
}

/** Runs one statement in the database with this URL. */
export async function administerPostgres(url: string, statement: string): Promise<void> {
  await withClient(url, (client) => client.query(statement));
}

function createDirectory(parent: string): string {
  const directory = mkdtempSync(join(parent, "solstice-postgres-"));
  if (process.getuid?.() === 0) chownSync(directory, postgresUserId("-u"), postgresUserId("-g"));
  return directory;
}

function postgresUserId(kind: "-u" | "-g"): number {
  return Number(execFileSync("id", [kind, "postgres"], { encoding: "utf8" }));
}

function initialise(directory: string): void {
  const data = join(directory, "data");
  const [command, ...args] = asServerUser("initdb", ["-D", data, "-U", role, "-A", "trust", "--no-sync"]);
  execFileSync(command, [...args, "--encoding=UTF8", "--locale=C.UTF-8"], { cwd: directory, stdio: "pipe" });
}

/**
 * A command line that runs `program` of PostgreSQL as a user that PostgreSQL accepts, and ends it when this process
 * ends.
 */
function asServerUser(program: string, args: readonly string[]): [string, ...string[]] {
  const becoming = process.getuid?.() === 0 ? ["--reuid=postgres", "--regid=postgres", "--clear-groups"] : [];
  return ["setpriv", "--pdeathsig=SIGQUIT", ...becoming, "--", findProgram(program), ...args];
}

/** Debian keeps the server's programs out of PATH, in a directory for each version. */
function findProgram(name: string): string {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const directories = [
    ...versions.map((version) => join(debian, version, "bin")),
    ...(process.env.PATH ?? "").split(delimiter),
  ];
  const found = directories.map((directory) => join(directory, name)).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`${name} is not installed: install the package postgresql`);
  return found;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

interface ServerPlace {
  readonly directory: string;
  readonly port: number;
  readonly flush: boolean;
  readonly connections: number;
}

/**
 * Retries until the server accepts connections: the orphan processes of a killed server hold its memory for a moment,
 * and a new server refuses to start.
 */
async function startServer(place: ServerPlace): Promise<ChildProcess> {
  const deadline = Date.now() + startTimeoutMs;
  let output = "";
  while (Date.now() < deadline) {
    const server = launch(place, (text) => {
      output = (output + text).slice(-4000);
    });
    while (server.exitCode === null && server.signalCode === null && Date.now() < deadline) {
      if (await answers(place.port)) return server;
      await delay(startPollMs);
    }
    await killAll(server);
  }
  throw new Error(`PostgreSQL did not start within ${startTimeoutMs} ms:\n${output}`);
}

function launch(place: ServerPlace, onOutput: (text: string) => void): ChildProcess {
  const settings = [
    `port=${place.port}`,
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    `max_connections=${place.connections}`,
    ...(place.flush
      ? []
      : ["fsync=off", "full_page_writes=off", "shared_buffers=32MB", "dynamic_shared_memory_type=mmap"]),
  ];
  const [command, ...args] = asServerUser("postgres", [
    "-D",
    join(place.directory, "data"),
    ...settings.flatMap((setting) => ["-c", setting]),
  ]);
  const server = spawn(command, args, { cwd: place.directory, stdio: ["ignore", "ignore", "pipe"] });
  server.stderr.setEncoding("utf8").on("data", onOutput);
  return server;
}

async function answers(port: number): Promise<boolean> {
  try {
    await withClient(`postgres://${role}@127.0.0.1:${port}/postgres`, (client) => client.query("select 1"));
    return true;
  } catch {
    return false;
  }
}

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5000 });
  client.on("error", () => {});
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Each PostgreSQL process has its own session, so a signal to the group of the first one reaches no other. */
async function killAll(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null || server.pid === undefined) return;
  const ended = once(server, "exit");
  const children = childrenOf(server.pid);
  server.kill("SIGKILL");
  for (const pid of children) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // The process has ended by itself, because the first one ended.
    }
  }
  await ended;
}

function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8").trim().split(" ").filter(Boolean).map(Number);
}
