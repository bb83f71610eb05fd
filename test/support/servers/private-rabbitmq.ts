import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { memoryDirectory } from "../memory-directory.ts";
import { answersAmqp, type BrokerPorts, chooseBrokerPorts } from "./broker-ports.ts";
import { makePluginsDirectory } from "./erlang-modules.ts";
import { administrator, type QueueState, type RabbitmqNode, readQueueState } from "./rabbitmq-node.ts";

/** A private RabbitMQ for tests, on loopback, with its own data and epmd, and without plugins. */
export interface PrivateRabbitmq {
  /** The URL with user and password; it stays the same after a restart. */
  readonly url: string;
  /** Access to operations that AMQP does not offer. */
  readonly node: RabbitmqNode;
  /**
   * Ends the broker with SIGKILL, epmd included, like a crash. The data stay. RabbitMQ 3.10 may lose a quorum queue
   * that is younger than half a second (docs/reference/messages.md): a test that has just made one calls
   * `saveQuorumQueues` first.
   */
  kill(): Promise<void>;
  /** Ends the broker with a regular shutdown, which closes the clients' connections. The data stay. */
  shutDown(): Promise<void>;
  /** Starts the broker again on the same data and port; resolves when the AMQP handshake succeeds. */
  start(): Promise<void>;
  /** Kills the broker and removes its data. */
  stop(): Promise<void>;
  /** The current state of a queue; null when it does not exist. */
  queueState(name: string): Promise<QueueState | null>;
}

const programs = "/usr/lib/rabbitmq/bin";
const startTimeoutMs = 120_000;
const stopTimeoutMs = 60_000;
const startAttempts = 3;
const outputCharsKept = 4000;

/** The reason why a private RabbitMQ cannot run here, for the `skip` option of a test; otherwise false. */
export function missingRabbitmq(): string | false {
  return existsSync(join(programs, "rabbitmq-server")) ? false : "rabbitmq-server is not installed";
}

/** Starts a broker in a new directory; resolves when the AMQP handshake succeeds. The caller must `stop()` it. */
export async function startPrivateRabbitmq(): Promise<PrivateRabbitmq> {
  const directory = mkdtempSync(join(memoryDirectory(), "rabbitmq-"));
  for (let attempt = 1; ; attempt += 1) {
    const ports = await chooseBrokerPorts();
    try {
      return await startAt(directory, ports);
    } catch (error) {
      // Another process may have taken a port meanwhile: try other ports.
      if (attempt < startAttempts) continue;
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }
}

async function startAt(directory: string, ports: BrokerPorts): Promise<PrivateRabbitmq> {
  const environment = prepareDirectory(directory, ports);
  let running = await launch(environment, ports);
  const cookie = readFileSync(join(environment.HOME, ".erlang.cookie"), "utf8");
  const node = { cookie, distributionPort: ports.distribution };
  const killNow = () => killGroup(running);
  const remove = () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  const cleanUp = () => {
    killNow();
    remove();
  };
  // For a test that failed before its own `stop()`.
  process.once("exit", cleanUp);
  return {
    url: `amqp://${administrator.username}:${administrator.password}@127.0.0.1:${ports.amqp}`,
    node,
    queueState: (name) => readQueueState(node, name),
    async kill() {
      killNow();
      await closed(running);
    },
    async shutDown() {
      running.kill("SIGTERM");
      await ended(running);
      killNow();
      await closed(running);
    },
    async start() {
      running = await launch(environment, ports);
    },
    async stop() {
      process.off("exit", cleanUp);
      killNow();
      await closed(running);
      remove();
    },
  };
}

/** The environment of the server and its tools; they run in `HOME`. */
type Environment = Readonly<Record<string, string>> & { readonly HOME: string };

function prepareDirectory(directory: string, ports: BrokerPorts): Environment {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "rabbitmq.conf"), configuration(ports.amqp));
  writeFileSync(join(directory, "enabled_plugins"), "[].\n");
  // A start that failed because of its ports has made them already.
  if (!existsSync(join(directory, "plugins"))) makePluginsDirectory(join(directory, "plugins"), programs);
  // Interval in which a quorum queue reports what `rabbitmqctl` shows, in milliseconds; the default is five seconds.
  writeFileSync(join(directory, "advanced.config"), "[{rabbit, [{quorum_tick_interval, 200}]}].\n");
  return {
    PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
    LANG: "C.UTF-8",
    // The Erlang cookie is kept here.
    HOME: directory,
    RABBITMQ_CONF_ENV_FILE: "/dev/null",
    RABBITMQ_NODENAME: `test${ports.amqp}@localhost`,
    RABBITMQ_MNESIA_BASE: join(directory, "mnesia"),
    RABBITMQ_LOG_BASE: join(directory, "log"),
    RABBITMQ_LOGS: "-",
    RABBITMQ_CONFIG_FILE: join(directory, "rabbitmq.conf"),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(directory, "advanced.config"),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(directory, "enabled_plugins"),
    RABBITMQ_PLUGINS_DIR: join(directory, "plugins"),
    RABBITMQ_PID_FILE: join(directory, "pid"),
    RABBITMQ_GENERATED_CONFIG_DIR: join(directory, "config"),
    RABBITMQ_SCHEMA_DIR: join(directory, "schema"),
    RABBITMQ_DIST_PORT: String(ports.distribution),
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    // One scheduler that does not spin while idle: tests share the machine with the tested programs.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
  };
}

/** Small limits, and a RabbitMQ log that is kept in memory and shown when the start fails. */
function configuration(port: number): string {
  return [
    `listeners.tcp.default = 127.0.0.1:${port}`,
    "log.file = false",
    "log.console = true",
    "log.console.level = warning",
    "vm_memory_high_watermark.absolute = 512MB",
    "disk_free_limit.absolute = 50MB",
    "raft.wal_max_size_bytes = 16777216",
    "",
  ].join("\n");
}

/**
 * One process group: a watcher that ends the group when this process has ended for any reason; an epmd (otherwise
 * `erl` would leave a daemon behind); and the broker, which replaces the shell.
 */
const groupScript = `
exec 3<&0
(read -r _ <&3; kill -9 0) >/dev/null 2>&1 &
/usr/bin/epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 &
exec ${programs}/rabbitmq-server </dev/null 3<&-
`;

async function launch(env: Environment, ports: BrokerPorts): Promise<ChildProcess> {
  // The broker leaves files such as MnesiaCore in its working directory.
  const group = spawn("/bin/sh", ["-c", groupScript], { env, cwd: env.HOME, detached: true });
  let output = "";
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-outputCharsKept);
  };
  group.stdout.on("data", keep);
  group.stderr.on("data", keep);
  try {
    await answering(group, ports.amqp);
    return group;
  } catch (error) {
    killGroup(group);
    await closed(group);
    throw new Error(`The private RabbitMQ did not start: ${output}`, { cause: error });
  }
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch (error) {
    // No process of the group is left.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

async function answering(broker: ChildProcess, port: number): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  while (!(await answersAmqp(port))) {
    if (hasEnded(broker)) throw new Error("it ended");
    if (Date.now() > deadline) throw new Error("it does not answer");
    await sleep(50);
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function ended(child: ChildProcess): Promise<void> {
  if (!hasEnded(child)) await once(child, "exit", { signal: AbortSignal.timeout(stopTimeoutMs) });
}

/** Resolves when the process has ended and its output is closed: only then have all processes of its group ended. */
async function closed(child: ChildProcess): Promise<void> {
  if (hasEnded(child) && (child.stdout?.closed ?? true)) return;
  await once(child, "close", { signal: AbortSignal.timeout(stopTimeoutMs) });
}
