import type { CacheLimits } from "../core/cache/space.ts";
import type { ImageMap } from "../core/image-map/image-map.ts";
import type { Backend } from "../core/job/job.ts";
import type { SecretsConfig } from "./secrets/secrets-config.ts";
import type { ZonesConfig } from "./zones-config.ts";

/** A server's listen address. Port 0: the kernel chooses the port. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** A file of environment variables. */
export interface EnvironmentFilePlace {
  /** Absolute path. */
  readonly path: string;
  readonly isOptional: boolean;
}

/** The frozen configuration of the orchestrator, from flags, environment and defaults, in this order of priority. */
export interface OrchestratorConfig {
  /** Path of the image map file. */
  readonly configPath: string;
  readonly imageMap: ImageMap;
  /** SHA-256 (hex) of the image map's file at the time of reading. */
  readonly imageMapSha256: string;
  /** Every option that has a value, as text, without secrets: the source of this configuration. */
  readonly settings: readonly Setting[];
  /** Absolute path. */
  readonly dataDir: string;
  /** Null: no job gets a secret. */
  readonly secrets: SecretsConfig | null;
  readonly maxConcurrency: number;
  /** Number of guests that may be on hold, in addition to {@link maxConcurrency} running jobs. */
  readonly maxHolds: number;
  /** The longest hold, in seconds. */
  readonly holdLimitSeconds: number;
  /** Cap of each label. A label without a cap is limited only by {@link maxConcurrency}. */
  readonly capacityMap: ReadonlyMap<string, number>;
  readonly hypervisor: "auto" | Backend;
  readonly libvirtUri: string;
  readonly libvirtNetwork: string;
  readonly libvirtVirtType: "auto" | "kvm" | "qemu";
  /** `on`: guests reach only the parts of this host and its networks that the configuration allows. */
  readonly firewall: "on" | "off";
  /** IPv4 ranges of private networks that guests may reach. */
  readonly guestLanAccess: readonly string[];
  /** TCP ports of the host's address on the guests' network that guests may reach, in addition to the runner endpoint's. */
  readonly guestHostPorts: readonly number[];
  readonly zones: ZonesConfig;
  readonly apiListen: ListenAddress;
  /** The URL of this host's API for clients on other machines; null: from {@link apiListen}. */
  readonly apiPublicUrl: string | null;
  readonly apiToken: string | null;
  /** Null: port 7411 of the host's address in the guests' network. */
  readonly runnerListen: ListenAddress | null;
  /** The URL of the runner endpoint for guests; null: from {@link runnerListen}. */
  readonly runnerUrl: string | null;
  readonly bootTimeoutSeconds: number;
  readonly jobTimeoutSeconds: number;
  readonly stopTimeoutSeconds: number;
  /** Longest time of the steps that always run, after a job has failed or must end. */
  readonly cleanupTimeoutSeconds: number;
  readonly drainTimeoutSeconds: number;
  /** Longest time that a job waits for its image. */
  readonly imageTimeoutSeconds: number;
  /** Longest time without a heartbeat from a started runner. */
  readonly silenceTimeoutSeconds: number;
  /** Number of attempts of a job that fails because of the host, the image or the guest. */
  readonly maxAttempts: number;
  /** Largest log of one attempt, in bytes. */
  readonly logLimitBytes: number;
  /** Number of jobs that may wait in the store before intake pauses. */
  readonly maxQueued: number;
  /** URL of PostgreSQL; null: SQLite in the data directory. A secret. */
  readonly databaseUrl: string | null;
  /** Time without a lease renewal after which other hosts take over a host's jobs. */
  readonly leaseTimeoutSeconds: number;
  /** Time that other hosts wait before they take over the jobs of a host that restarts (SIGUSR2). */
  readonly restartGraceSeconds: number;
  /** Null: no broker; requests come only through the API. */
  readonly amqp: AmqpConfig | null;
  /** Free space in the data directory below which no job starts. */
  readonly diskReserveBytes: number;
  readonly auditIntervalSeconds: number;
  /** Time that a finished job is kept; 0: for ever. */
  readonly jobRetentionSeconds: number;
  /** Largest total size of all logs in the store; 0: no limit. */
  readonly logStoreLimitBytes: number;
  /** Time that an image is kept after the map no longer names it; 0: for ever. */
  readonly imageRetentionSeconds: number;
  readonly blobPlace: BlobPlace;
  readonly s3: S3Access;
  readonly artifactLimits: ArtifactLimits;
  /** Time that an artifact is kept; 0: as long as its job. */
  readonly artifactRetentionSeconds: number;
  readonly cache: CacheConfig;
  readonly noop: NoopConfig;
  /** True when a service manager waits for `systemd-notify` (systemd has set `NOTIFY_SOCKET`). */
  readonly hasNotifySocket: boolean;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

/** One option that has a value, as text. */
export interface Setting {
  /** Long flag without its dashes. */
  readonly flag: string;
  /** The value as a flag; paths are absolute, URLs are normalised. Null for a secret. */
  readonly value: string | null;
  /** The flag or variable it came from, such as `ORCH_CONFIG`. */
  readonly from: string;
  readonly isDefault: boolean;
}

/** Limits, retention and sharing of the cache. */
export interface CacheConfig extends CacheLimits {
  /** Time that an entry is kept after its last use; 0: for ever. */
  readonly retentionSeconds: number;
  /** The refs whose entries every ref may restore. */
  readonly sharedRefs: readonly string[];
}

/** Settings of the `noop` backend. */
export interface NoopConfig {
  /** `delay`: a stand-in reports success. `process`: the real runner as a child process, without any isolation. */
  readonly runner: "delay" | "process";
  readonly delayMs: number;
}

/** The broker of requests and results. */
export interface AmqpConfig {
  /** May contain a password, so it is never logged. */
  readonly url: string;
  readonly exchange: string;
  readonly queue: string;
  readonly routingKey: string;
  /** Most deliveries that are not yet acknowledged. */
  readonly prefetch: number;
}

/** The place of jobs' files. */
export type BlobPlace =
  /** An absolute path on this host. */
  | { readonly kind: "directory"; readonly path: string }
  /** A bucket; the prefix is empty or ends with a slash. */
  | { readonly kind: "s3"; readonly bucket: string; readonly prefix: string };

/** Access to a bucket. The client library reads the credentials from the environment. */
export interface S3Access {
  /** Null: AWS, in the region. */
  readonly endpoint: string | null;
  readonly region: string;
}

/** Limits of artifacts, in bytes. */
export interface ArtifactLimits {
  readonly fileBytes: number;
  /** All artifacts of one attempt. */
  readonly jobBytes: number;
  /** All artifacts on this host, or in the bucket. */
  readonly storeBytes: number;
}
