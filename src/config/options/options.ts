import { type Backend, backends } from "../../core/job/job.ts";
import type { EnvironmentFilePlace, ListenAddress } from "../orchestrator-config.ts";
import { blobOptions } from "./blob-options.ts";
import { cacheOptions } from "./cache-options.ts";
import { firewallOptions } from "./firewall-options.ts";
import { holdOptions } from "./hold-options.ts";
import type { OptionDefinition } from "./option-definition.ts";
import {
  amqpName,
  amqpUrl,
  capacityMap,
  databaseUrl,
  duration,
  environmentFile,
  httpUrl,
  libvirtUri,
  listenAddress,
  networkName,
  oneOf,
  path,
  restartGrace,
  token,
  wholeNumber,
} from "./option-parsers.ts";
import { upkeepOptions } from "./upkeep-options.ts";
import { zonesOptions } from "./zones-options.ts";

const files = "Files:";
const capacity = "Capacity:";
const virtualMachines = "Virtual machines:";
const network = "Network:";
const timeouts = "Timeouts (30s, 5m, 1h30m, or seconds):";
const sharing = "Several hosts:";
const broker = "Message broker:";
const development = "Diagnosis and development:";

/** Also an option of commands that call the API, and of `solstice images`. */
const dataDir = {
  flag: "data-dir",
  placeholder: "DIR",
  environment: "SOLSTICE_DATA_DIR",
  group: files,
  description: "the directory of images, the database and running guests' disks",
  defaultText: null,
  defaultNote: "/var/lib/solstice as root, else $XDG_STATE_HOME/solstice or ~/.local/state/solstice",
  parse: path,
} as const satisfies OptionDefinition<string>;

const config = {
  flag: "config",
  placeholder: "FILE",
  environment: "ORCH_CONFIG",
  group: files,
  description: "the image map: labels, sizes and images",
  defaultText: null,
  defaultNote: "examples/orchestrator-image-map.yaml of this installation",
  parse: path,
} as const satisfies OptionDefinition<string>;

const hypervisor = {
  flag: "hypervisor",
  placeholder: "NAME",
  environment: "HYPERVISOR",
  group: virtualMachines,
  description: "auto, libvirt (Linux), zones (illumos) or noop (no guests, for development)",
  defaultText: "auto",
  parse: oneOf("auto", ...backends),
} as const satisfies OptionDefinition<"auto" | Backend>;

const apiToken = {
  flag: "api-token",
  placeholder: "TOKEN",
  environment: "API_TOKEN",
  group: network,
  description:
    "the token that callers of the API must send. Every user of this machine can read a flag (ps): prefer the variable",
  defaultText: null,
  defaultNote: "none",
  secret: true,
  parse: token,
} as const satisfies OptionDefinition<string>;

/** Also options of `solstice enqueue`, which publishes to the same exchange. */
const brokerOptions = {
  amqpUrl: {
    flag: "amqp-url",
    placeholder: "URL",
    environment: "AMQP_URL",
    group: broker,
    description:
      "the RabbitMQ of requests and results, such as amqp://user@host/vhost. It may contain a password: prefer the variable",
    defaultText: null,
    defaultNote: "none: jobs come through the API",
    secret: true,
    parse: amqpUrl,
  } as const satisfies OptionDefinition<string>,
  amqpExchange: {
    flag: "amqp-exchange",
    placeholder: "NAME",
    environment: "AMQP_EXCHANGE",
    group: broker,
    description: "the topic exchange of requests and results; NAME.dead receives rejected requests",
    defaultText: "solstice.jobs",
    parse: amqpName,
  } as const satisfies OptionDefinition<string>,
  amqpQueue: {
    flag: "amqp-queue",
    placeholder: "NAME",
    environment: "AMQP_QUEUE",
    group: broker,
    description: "the quorum queue of requests; NAME.dead keeps rejected requests",
    defaultText: "solstice.jobs.v1",
    parse: amqpName,
  } as const satisfies OptionDefinition<string>,
  amqpRoutingKey: {
    flag: "amqp-routing-key",
    placeholder: "KEY",
    environment: "AMQP_ROUTING_KEY",
    group: broker,
    description: "the routing key of requests",
    defaultText: "job.request",
    parse: amqpName,
  } as const satisfies OptionDefinition<string>,
};

/** Every option of `solstice orchestrator`, by the name of its value in the program. */
export const orchestratorOptions = {
  config,
  dataDir,
  secretsFile: {
    flag: "secrets-file",
    placeholder: "FILE",
    environment: "SECRETS_FILE",
    group: files,
    description:
      "the file of secrets, with the jobs that may use each; only the orchestrator's user may read it",
    defaultText: null,
    defaultNote: "none: no job gets a secret",
    parse: path,
  } as const satisfies OptionDefinition<string>,
  environmentFile: {
    flag: "environment-file",
    placeholder: "FILE",
    environment: "ENVIRONMENT_FILE",
    group: files,
    description:
      "more variables, as NAME=value lines (systemd's EnvironmentFile=), with priority over the environment; -FILE may be absent",
    defaultText: null,
    defaultNote: "none",
    parse: environmentFile,
  } as const satisfies OptionDefinition<EnvironmentFilePlace>,
  maxConcurrency: {
    flag: "max-concurrency",
    placeholder: "N",
    environment: "MAX_CONCURRENCY",
    group: capacity,
    description: "number of jobs that run at once on this host",
    defaultText: "2",
    parse: wholeNumber(1, 1000),
  } as const satisfies OptionDefinition<number>,
  capacityMap: {
    flag: "capacity-map",
    placeholder: "LABEL=N,...",
    environment: "CAPACITY_MAP",
    group: capacity,
    description: "caps for single labels, such as illumos-latest=2,ubuntu-22.04=4; 0 stops a label",
    defaultText: null,
    defaultNote: "none",
    parse: capacityMap,
  } as const satisfies OptionDefinition<ReadonlyMap<string, number>>,
  maxAttempts: {
    flag: "max-attempts",
    placeholder: "N",
    environment: "MAX_ATTEMPTS",
    group: capacity,
    description:
      "number of attempts of a job when the host, the image or the guest fails (failed steps are never repeated)",
    defaultText: "2",
    parse: wholeNumber(1, 10),
  } as const satisfies OptionDefinition<number>,
  logLimitMb: {
    flag: "log-limit-mb",
    placeholder: "MB",
    environment: "LOG_LIMIT_MB",
    group: capacity,
    description:
      "largest log of one attempt, in MiB: of a larger log, half of that from the beginning and half from the end",
    defaultText: "64",
    parse: wholeNumber(1, 1_048_576),
  } as const satisfies OptionDefinition<number>,
  maxQueued: {
    flag: "max-queued",
    placeholder: "N",
    environment: "MAX_QUEUED",
    group: capacity,
    description:
      "number of jobs that may wait in the store; beyond it requests stay in the broker, and the API refuses new ones",
    defaultText: null,
    defaultNote: "1000; with DATABASE_URL 200000",
    parse: wholeNumber(1, 10_000_000),
  } as const satisfies OptionDefinition<number>,
  ...holdOptions,
  databaseUrl: {
    flag: "database-url",
    placeholder: "URL",
    environment: "DATABASE_URL",
    group: sharing,
    description:
      "the PostgreSQL that several hosts share, such as postgres://user@host/solstice. It may contain a password: prefer the variable",
    defaultText: null,
    defaultNote: "SQLite in the data directory",
    secret: true,
    parse: databaseUrl,
  } as const satisfies OptionDefinition<string>,
  leaseTimeout: {
    flag: "lease-timeout",
    placeholder: "TIME",
    environment: "LEASE_TIMEOUT",
    group: sharing,
    description:
      "time without a lease renewal in the database after which other hosts take over a host's jobs",
    defaultText: "30s",
    parse: duration,
  } as const satisfies OptionDefinition<number>,
  restartGrace: {
    flag: "restart-grace",
    placeholder: "TIME",
    environment: "RESTART_GRACE",
    group: sharing,
    description:
      "time that other hosts wait before they take over this host's jobs after SIGUSR2, which a restart of the service sends",
    defaultText: "5m",
    parse: restartGrace,
  } as const satisfies OptionDefinition<number>,
  ...brokerOptions,
  amqpPrefetch: {
    flag: "amqp-prefetch",
    placeholder: "N",
    environment: "AMQP_PREFETCH",
    group: broker,
    description: "most messages taken from the broker that are not yet acknowledged",
    defaultText: null,
    defaultNote: "MAX_CONCURRENCY",
    parse: wholeNumber(1, 10_000),
  } as const satisfies OptionDefinition<number>,
  hypervisor,
  libvirtUri: {
    flag: "libvirt-uri",
    placeholder: "URI",
    environment: "LIBVIRT_URI",
    group: virtualMachines,
    description: "the libvirt daemon to use",
    defaultText: "qemu:///system",
    parse: libvirtUri,
  } as const satisfies OptionDefinition<string>,
  libvirtNetwork: {
    flag: "libvirt-network",
    placeholder: "NAME",
    environment: "LIBVIRT_NETWORK",
    group: virtualMachines,
    description: "the libvirt network of guests",
    defaultText: "default",
    parse: networkName,
  } as const satisfies OptionDefinition<string>,
  libvirtVirtType: {
    flag: "libvirt-virt-type",
    placeholder: "TYPE",
    environment: "LIBVIRT_VIRT_TYPE",
    group: virtualMachines,
    description:
      "kvm, qemu (software emulation, slow), or auto: kvm if a test guest runs with it, else qemu with a warning",
    defaultText: "auto",
    parse: oneOf("auto", "kvm", "qemu"),
  } as const satisfies OptionDefinition<"auto" | "kvm" | "qemu">,
  ...firewallOptions,
  ...zonesOptions,
  apiListen: {
    flag: "api-listen",
    placeholder: "HOST:PORT",
    environment: "API_LISTEN",
    group: network,
    description: "the API's address; a token is required unless it is a loopback address",
    defaultText: "127.0.0.1:7410",
    parse: listenAddress,
  } as const satisfies OptionDefinition<ListenAddress>,
  apiPublicUrl: {
    flag: "api-public-url",
    placeholder: "URL",
    environment: "API_PUBLIC_URL",
    group: network,
    description:
      "the URL of this host's API for clients, if it differs from API_LISTEN, such as the URL of a reverse proxy; needs a token",
    defaultText: null,
    defaultNote: "from API_LISTEN",
    parse: httpUrl,
  } as const satisfies OptionDefinition<string>,
  apiToken,
  runnerListen: {
    flag: "runner-listen",
    placeholder: "HOST:PORT",
    environment: "RUNNER_LISTEN",
    group: network,
    description: "the address of the runner endpoint, which guests call",
    defaultText: null,
    defaultNote:
      "port 7411 of the host's address in the guests' network: the gateway of LIBVIRT_NETWORK, or the address of ZONES_VNIC",
    parse: listenAddress,
  } as const satisfies OptionDefinition<ListenAddress>,
  runnerUrl: {
    flag: "runner-url",
    placeholder: "URL",
    environment: "RUNNER_URL",
    group: network,
    description: "the URL of the runner endpoint for guests, if it differs from RUNNER_LISTEN",
    defaultText: null,
    defaultNote: "from RUNNER_LISTEN",
    parse: httpUrl,
  } as const satisfies OptionDefinition<string>,
  imageTimeout: timeout("image", "30m", "longest time that a job waits for its image"),
  bootTimeout: timeout("boot", "5m", "longest time from the guest's power-on until its runner calls"),
  silenceTimeout: timeout("silence", "2m", "longest time without a heartbeat from a running guest"),
  jobTimeout: timeout("job", "1h", "longest time of a job's steps, if the request sets none"),
  cleanupTimeout: timeout(
    "cleanup",
    "2m",
    "longest time of the steps that always run, after a step failed, or the job was cancelled or timed out",
  ),
  stopTimeout: timeout(
    "stop",
    "30s",
    "longest time that a guest may take to shut down before it is destroyed",
  ),
  drainTimeout: timeout(
    "drain",
    "10m",
    "longest time that running jobs may continue after SIGTERM or SIGINT",
  ),
  ...upkeepOptions,
  ...blobOptions,
  ...cacheOptions,
  logLevel: {
    flag: "log-level",
    placeholder: "LEVEL",
    environment: "LOG_LEVEL",
    group: development,
    description: "debug, info, warn or error",
    defaultText: "info",
    parse: oneOf("debug", "info", "warn", "error"),
  } as const satisfies OptionDefinition<"debug" | "info" | "warn" | "error">,
  noopRunner: {
    flag: "noop-runner",
    placeholder: "KIND",
    environment: "NOOP_RUNNER",
    group: development,
    description:
      "with --hypervisor noop: delay (every job succeeds after NOOP_DELAY_MS) or process (steps run on this machine, not isolated)",
    defaultText: "delay",
    parse: oneOf("delay", "process"),
  } as const satisfies OptionDefinition<"delay" | "process">,
  noopDelayMs: {
    flag: "noop-delay-ms",
    placeholder: "MS",
    environment: "NOOP_DELAY_MS",
    group: development,
    description: "with --noop-runner delay: duration of a job, in milliseconds",
    defaultText: "1000",
    parse: wholeNumber(0, 3_600_000),
  } as const satisfies OptionDefinition<number>,
};

/** The options of every command that calls the API. */
export const clientOptions = {
  apiUrl: {
    flag: "api-url",
    placeholder: "URL",
    environment: "SOLSTICE_API_URL",
    group: "Connection:",
    description: "the URL of the orchestrator's API",
    defaultText: null,
    defaultNote: "the URL that the orchestrator wrote into the data directory, else http://127.0.0.1:7410",
    parse: httpUrl,
  } as const satisfies OptionDefinition<string>,
  apiToken: {
    ...apiToken,
    group: "Connection:",
    description: "the API's token. Every user of this machine can read a flag (ps): prefer the variable",
  } as const satisfies OptionDefinition<string>,
  dataDir: {
    ...dataDir,
    group: "Connection:",
    description: "the data directory of this machine's orchestrator",
  } as const satisfies OptionDefinition<string>,
};

/** The options of `solstice enqueue` for RabbitMQ. */
export const publishOptions = {
  amqpUrl: {
    ...brokerOptions.amqpUrl,
    description:
      "the RabbitMQ that the request is published to, such as amqp://user@host/vhost. It may contain a password: prefer the variable",
    defaultNote: "none: the request goes to the API",
  } as const satisfies OptionDefinition<string>,
  amqpExchange: {
    ...brokerOptions.amqpExchange,
    description: "the exchange that the orchestrators have declared",
  } as const satisfies OptionDefinition<string>,
  amqpRoutingKey: brokerOptions.amqpRoutingKey,
};

/** The options of `solstice images`, which works on the files of this machine. */
export const imageOptions = { config, dataDir, hypervisor };

function timeout<Text extends string>(name: string, defaultText: Text, description: string) {
  return {
    flag: `${name}-timeout`,
    placeholder: "TIME",
    environment: `${name.toUpperCase()}_TIMEOUT`,
    group: timeouts,
    description,
    defaultText,
    parse: duration,
  } satisfies OptionDefinition<number>;
}
