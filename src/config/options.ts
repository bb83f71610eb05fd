import {
  capacityMap,
  duration,
  httpUrl,
  libvirtUri,
  listenAddress,
  networkName,
  oneOf,
  type Parser,
  path,
  token,
  wholeNumber,
} from "./option-parsers.ts";
import type { ListenAddress } from "./orchestrator-config.ts";

/** One option as data: `--help`, the environment, `docs/configuration.md` and the loader are all made from it. */
export interface OptionDefinition<Value> {
  /** Long flag without its dashes. */
  readonly flag: string;
  /** How the value is named in help, such as `N`. */
  readonly placeholder: string;
  readonly environment: string;
  /** Heading in help. */
  readonly group: string;
  readonly description: string;
  /** The default, written as a user would; null: there is none, or it depends on the host (see `defaultNote`). */
  readonly defaultText: string | null;
  /** Shown instead of `defaultText` where the default depends on the host. */
  readonly defaultNote?: string;
  /** A secret is never repeated in a message. */
  readonly secret?: true;
  readonly parse: Parser<Value>;
}

/** The values that a table of options yields; an option without a default may yield null. */
export type OptionValues<Table> = {
  -readonly [Key in keyof Table]: Table[Key] extends OptionDefinition<infer Value>
    ? Table[Key] extends { readonly defaultText: string }
      ? Value
      : Value | null
    : never;
};

/** The default of an option as `--help` and the documentation show it. */
export function shownDefault(option: OptionDefinition<unknown>): string {
  return option.defaultNote ?? option.defaultText ?? "none";
}

const files = "Files:";
const capacity = "Capacity:";
const virtualMachines = "Virtual machines:";
const network = "Network:";
const timeouts = "Timeouts (30s, 5m, 1h30m, or seconds):";
const development = "Diagnosis and development:";

/** Also an option of every command that calls the API, and of those which look at images. */
const dataDir = {
  flag: "data-dir",
  placeholder: "DIR",
  environment: "SOLSTICE_DATA_DIR",
  group: files,
  description: "where images, the database and running guests' disks are kept",
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

const apiToken = {
  flag: "api-token",
  placeholder: "TOKEN",
  environment: "API_TOKEN",
  group: network,
  description:
    "what callers of the API must present. A flag can be read by every user of this machine (ps): prefer the variable",
  defaultText: null,
  defaultNote: "none",
  secret: true,
  parse: token,
} as const satisfies OptionDefinition<string>;

/** Every option of `solstice orchestrator`, by the name its value has in the program. */
export const orchestratorOptions = {
  config,
  dataDir,
  maxConcurrency: {
    flag: "max-concurrency",
    placeholder: "N",
    environment: "MAX_CONCURRENCY",
    group: capacity,
    description: "how many jobs run at once on this host",
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
      "how often a job is tried when the host, the image or the guest fails (never when its steps fail)",
    defaultText: "2",
    parse: wholeNumber(1, 10),
  } as const satisfies OptionDefinition<number>,
  logLimitMb: {
    flag: "log-limit-mb",
    placeholder: "MB",
    environment: "LOG_LIMIT_MB",
    group: capacity,
    description:
      "longest log kept of one attempt, in MiB; what exceeds it is dropped and the log marked truncated",
    defaultText: "1024",
    parse: wholeNumber(1, 1_048_576),
  } as const satisfies OptionDefinition<number>,
  hypervisor: {
    flag: "hypervisor",
    placeholder: "NAME",
    environment: "HYPERVISOR",
    group: virtualMachines,
    description: "auto, libvirt (Linux), zones (illumos) or noop (no guests at all: for development)",
    defaultText: "auto",
    parse: oneOf("auto", "libvirt", "zones", "noop"),
  } as const satisfies OptionDefinition<"auto" | "libvirt" | "zones" | "noop">,
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
    description: "the libvirt network guests are attached to",
    defaultText: "default",
    parse: networkName,
  } as const satisfies OptionDefinition<string>,
  libvirtVirtType: {
    flag: "libvirt-virt-type",
    placeholder: "TYPE",
    environment: "LIBVIRT_VIRT_TYPE",
    group: virtualMachines,
    description:
      "kvm, qemu (software emulation, slow), or auto: kvm where it really works, else qemu with a warning",
    defaultText: "auto",
    parse: oneOf("auto", "kvm", "qemu"),
  } as const satisfies OptionDefinition<"auto" | "kvm" | "qemu">,
  apiListen: {
    flag: "api-listen",
    placeholder: "HOST:PORT",
    environment: "API_LISTEN",
    group: network,
    description: "where the API listens; anywhere but on loopback a token is required",
    defaultText: "127.0.0.1:7410",
    parse: listenAddress,
  } as const satisfies OptionDefinition<ListenAddress>,
  apiToken,
  runnerListen: {
    flag: "runner-listen",
    placeholder: "HOST:PORT",
    environment: "RUNNER_LISTEN",
    group: network,
    description: "where guests' runners are listened for",
    defaultText: null,
    defaultNote: "the gateway address of the libvirt network, port 7411",
    parse: listenAddress,
  } as const satisfies OptionDefinition<ListenAddress>,
  runnerUrl: {
    flag: "runner-url",
    placeholder: "URL",
    environment: "RUNNER_URL",
    group: network,
    description: "the URL at which guests reach the runner endpoint, when it is not the address listened on",
    defaultText: null,
    defaultNote: "made from the address listened on",
    parse: httpUrl,
  } as const satisfies OptionDefinition<string>,
  imageTimeout: timeout("image", "30m", "how long a job waits for its image to be prepared"),
  bootTimeout: timeout("boot", "5m", "from power on until the guest's runner calls"),
  silenceTimeout: timeout("silence", "2m", "how long a running guest may not be heard of"),
  jobTimeout: timeout("job", "1h", "how long a job's steps may run when its request does not say"),
  stopTimeout: timeout("stop", "30s", "how long a guest may take to shut down before it is destroyed"),
  drainTimeout: timeout("drain", "10m", "how long running jobs may go on after SIGTERM or SIGINT"),
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
      "with --hypervisor noop: delay (every job succeeds after a while) or process (steps run on this machine, not isolated)",
    defaultText: "delay",
    parse: oneOf("delay", "process"),
  } as const satisfies OptionDefinition<"delay" | "process">,
  noopDelayMs: {
    flag: "noop-delay-ms",
    placeholder: "MS",
    environment: "NOOP_DELAY_MS",
    group: development,
    description: "with --noop-runner delay: how long a job takes, in milliseconds",
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
    description: "the orchestrator's API",
    defaultText: null,
    defaultNote: "what the orchestrator noted in the data directory, else http://127.0.0.1:7410",
    parse: httpUrl,
  } as const satisfies OptionDefinition<string>,
  apiToken: {
    ...apiToken,
    group: "Connection:",
    description:
      "the API's token. A flag can be read by every user of this machine (ps): prefer the variable",
  } as const satisfies OptionDefinition<string>,
  dataDir: {
    ...dataDir,
    group: "Connection:",
    description: "the data directory of this machine's orchestrator",
  } as const satisfies OptionDefinition<string>,
};

/** The options of `solstice images`, which works on the files of this machine. */
export const imageOptions = { config, dataDir };

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
