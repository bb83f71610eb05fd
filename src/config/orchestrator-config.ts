import type { CacheLimits } from "../core/cache/space.ts";
import type { ImageMap } from "../core/image-map/image-map.ts";
import type { Backend } from "../core/job/job.ts";
import type { SecretsConfig } from "./secrets/secrets-config.ts";
import type { ZonesConfig } from "./zones-config.ts";

/** Where a server listens. Port 0 lets the kernel choose. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** A file of variables. */
export interface EnvironmentFilePlace {
  /** Absolute. */
  readonly path: string;
  readonly isOptional: boolean;
}

/** The one frozen value every part of the orchestrator is configured by: flags over environment over defaults. */
export interface OrchestratorConfig {
  /** Path of the image map file. */
  readonly configPath: string;
  readonly imageMap: ImageMap;
  /** SHA-256 (hex) of the image map's file as it was read. */
  readonly imageMapSha256: string;
  /** Every option that has a value, as text and without secrets: what this was made from. */
  readonly settings: readonly Setting[];
  /** Absolute path. */
  readonly dataDir: string;
  /** Null: no job gets a secret. */
  readonly secrets: SecretsConfig | null;
  readonly maxConcurrency: number;
  /** How many guests may be on hold beside that. */
  readonly maxHolds: number;
  /** The longest hold, in seconds. */
  readonly holdLimitSeconds: number;
  /** Cap per label; a label that is absent is held only by the global cap. */
  readonly capacityMap: ReadonlyMap<string, number>;
  readonly hypervisor: "auto" | Backend;
  readonly libvirtUri: string;
  readonly libvirtNetwork: string;
  readonly libvirtVirtType: "auto" | "kvm" | "qemu";
  /** `on`: guests reach nothing of this host and its networks but what is said here. Where there are guests. */
  readonly firewall: "on" | "off";
  /** IPv4 ranges of private networks that guests may reach all the same. */
  readonly guestLanAccess: readonly string[];
  /** TCP ports of the host's address on the guests' network, beside the runner endpoint's. */
  readonly guestHostPorts: readonly number[];
  readonly zones: ZonesConfig;
  readonly apiListen: ListenAddress;
  /** The URL that users on other machines call this host's API at; null: made from the address listened on. */
  readonly apiPublicUrl: string | null;
  readonly apiToken: string | null;
  /** Null: port 7411 of the host's address in the guests' network. */
  readonly runnerListen: ListenAddress | null;
  /** The URL guests reach the runner endpoint at; null: made from the address listened on. */
  readonly runnerUrl: string | null;
  readonly bootTimeoutSeconds: number;
  readonly jobTimeoutSeconds: number;
  readonly stopTimeoutSeconds: number;
  /** How long the steps that always run may take once a job has failed or is to end. */
  readonly cleanupTimeoutSeconds: number;
  readonly drainTimeoutSeconds: number;
  /** How long a job waits for its image to become ready. */
  readonly imageTimeoutSeconds: number;
  /** How long a started runner may not be heard of. */
  readonly silenceTimeoutSeconds: number;
  /** Attempts of a job that fails through our fault. */
  readonly maxAttempts: number;
  /** Longest log kept of one attempt, in bytes. */
  readonly logLimitBytes: number;
  /** How many jobs may wait in the store before intake pauses. */
  readonly maxQueued: number;
  /** PostgreSQL; null: SQLite in the data directory. A secret. */
  readonly databaseUrl: string | null;
  /** How long a host may be silent before others take over its jobs. */
  readonly leaseTimeoutSeconds: number;
  /** How long others leave the jobs of a host alone that was told to restart (SIGUSR2). */
  readonly restartGraceSeconds: number;
  /** Null: no broker, jobs come through the API only. */
  readonly amqp: AmqpConfig | null;
  /** No job starts while less than this is free in the data directory. */
  readonly diskReserveBytes: number;
  readonly auditIntervalSeconds: number;
  /** How long a finished job is kept; 0: for ever. */
  readonly jobRetentionSeconds: number;
  /** How many bytes all logs may take in the store; 0: no limit. */
  readonly logStoreLimitBytes: number;
  /** How long an image that the map no longer names is kept; 0: for ever. */
  readonly imageRetentionSeconds: number;
  readonly blobPlace: BlobPlace;
  readonly s3: S3Access;
  readonly artifactLimits: ArtifactLimits;
  /** How long an artifact is kept; 0: as long as its job. */
  readonly artifactRetentionSeconds: number;
  readonly cache: CacheConfig;
  readonly noop: NoopConfig;
  /** Whether a service manager waits for `systemd-notify` (`NOTIFY_SOCKET`, which systemd sets). */
  readonly hasNotifySocket: boolean;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

/** One option that has a value, as text. */
export interface Setting {
  /** Long flag without its dashes. */
  readonly flag: string;
  /** As a flag would have it; paths are absolute, URLs in their usual form. Null for a secret. */
  readonly value: string | null;
  /** The flag or variable it came from, such as `ORCH_CONFIG`. */
  readonly from: string;
  readonly isDefault: boolean;
}

/** How much the cache keeps, for how long and for whom. */
export interface CacheConfig extends CacheLimits {
  /** How long an entry is kept after its last use; 0: for ever. */
  readonly retentionSeconds: number;
  /** The refs whose entries every ref may restore. */
  readonly sharedRefs: readonly string[];
}

/** How the `noop` backend plays a guest. */
export interface NoopConfig {
  /** `delay`: a stand-in reports success. `process`: the real runner as a child process, without any isolation. */
  readonly runner: "delay" | "process";
  readonly delayMs: number;
}

/** Where requests come from and results go. */
export interface AmqpConfig {
  /** May hold a password: never logged. */
  readonly url: string;
  readonly exchange: string;
  readonly queue: string;
  readonly routingKey: string;
  /** Deliveries held before the first of them is acknowledged. */
  readonly prefetch: number;
}

/** Where files of jobs are kept. */
export type BlobPlace =
  /** An absolute path on this host. */
  | { readonly kind: "directory"; readonly path: string }
  /** A bucket; the prefix is empty or ends with a slash. */
  | { readonly kind: "s3"; readonly bucket: string; readonly prefix: string };

/** How a bucket is reached; credentials are the client library's business. */
export interface S3Access {
  /** Null: AWS, in the region. */
  readonly endpoint: string | null;
  readonly region: string;
}

/** What artifacts may take, in bytes. */
export interface ArtifactLimits {
  readonly fileBytes: number;
  /** All artifacts of one attempt. */
  readonly jobBytes: number;
  /** All artifacts that are kept: on this host, or in the bucket. */
  readonly storeBytes: number;
}
