import type { AttemptMasks } from "../attempts/output/attempt-masks.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { OrchestratorConfig } from "../config/orchestrator-config.ts";
import { type Unfit, unfitness } from "../core/hosts/backend-fit.ts";
import type { HostPhase, LifecycleLimits } from "../core/job/lifecycle.ts";
import type { Log } from "../core/log.ts";
import type { ImageHere } from "../core/schedule/image-availability.ts";
import { formatBytes } from "../host/files/disk-space.ts";
import type { Hypervisor } from "../hypervisor/hypervisor.ts";
import type { ImageStore } from "../images/image-store.ts";
import type { Store } from "../store/store.ts";
import type { AuditState } from "./audit/audit-state.ts";
import type { DrainRecord } from "./hosts/drain-record.ts";
import type { HostIdentity } from "./identity.ts";
import type { KeyedLock } from "./keyed-lock.ts";
import type { Messaging } from "./messages/messaging.ts";
import type { RepositoryReach } from "./reach/repository-reach.ts";
import type { SecretFiles } from "./secrets/secret-files.ts";
import type { GuestShells } from "./shells/guest-shells.ts";
import type { DiskGuard } from "./upkeep/disk-guard.ts";
import type { HostCaches } from "./upkeep/host-caches.ts";
import type { RetentionState } from "./upkeep/retention-state.ts";

export type { Log };

/** The state shared by the loops of one orchestrator. Created once, in `main.ts`. */
export interface Context {
  readonly config: OrchestratorConfig;
  readonly identity: HostIdentity;
  readonly store: Store;
  readonly hypervisor: Hypervisor;
  readonly images: ImageStore;
  /** The files that guests sent, and the files stored for them. */
  readonly blobs: BlobStore;
  readonly caches: HostCaches;
  readonly log: Log;
  readonly limits: LifecycleLimits;
  /** The start of this process, in ms since the epoch. */
  readonly startedAt: number;
  /** The URL that guests call. */
  readonly runnerUrl: string;
  /** Serialises actions on one job's guest, by its driver and the audit. */
  readonly guestLock: KeyedLock;
  /** The results of audits: comparisons of this host with the store. */
  readonly audits: AuditState;
  /** The broker; null when jobs come through the API only. */
  readonly messaging: Messaging | null;
  /** The open shells in guests on hold. */
  readonly shells: GuestShells;
  /** The reachability of jobs' repositories from guests. */
  readonly reach: RepositoryReach;
  readonly diskGuard: DiskGuard;
  /** The operator's current secrets. */
  readonly secrets: SecretFiles;
  /** The values masked in the logs of running attempts. */
  readonly masks: AttemptMasks;
  readonly retention: RetentionState;
  /**
   * The reason why this host, although it is serving, starts no jobs, with the remedy, in one sentence; null
   * when it starts jobs.
   */
  readonly pausedReason: () => string | null;
  /** The record of an operator's drain of this host. */
  readonly drainRecord: DrainRecord;
  /** The phase of this host's shutdown. Changed only by `process/shutdown.ts`. */
  phase: HostPhase;
}

/** True when this host starts no more jobs: it is shutting down, or an operator drains it. */
export function isDraining({ phase, drainRecord }: Pick<Context, "phase" | "drainRecord">): boolean {
  return phase !== "serving" || drainRecord.since() !== null;
}

/**
 * The reason why this host does not run an image of its map; null when it does, and for images that are not
 * in the map.
 */
export function unfitHere({ config, hypervisor }: Context, image: string): Unfit | null {
  const definition = config.imageMap.images.get(image);
  return definition === undefined ? null : unfitness(definition, hypervisor.backend);
}

/** True when this host runs `image`, ready or not: the image is in its map and for its backend. */
export function isImageServed(context: Context, image: string): boolean {
  return context.config.imageMap.images.has(image) && unfitHere(context, image) === null;
}

/** True when this host runs `image` and the image is ready. The noop backend needs only the name. */
export function isImageReady(context: Context, image: string): boolean {
  if (!isImageServed(context, image)) return false;
  return context.hypervisor.backend === "noop" || context.images.state(image).kind === "ready";
}

/** The state on this host of an image that is not ready. */
export function imageHere(context: Context, image: string): ImageHere {
  if (!context.config.imageMap.images.has(image)) return { kind: "absent", message: "" };
  const unfit = unfitHere(context, image);
  if (unfit?.needs) return { kind: "elsewhere", needs: unfit.needs };
  if (unfit !== null) return { kind: "failed", message: unfit.problem };
  const state = context.images.state(image);
  if (state.kind !== "failed") return { kind: "pending", message: "" };
  return { kind: state.permanent ? "failed" : "pending", message: state.message };
}

/** An image's state for people: `ready`, `preparing`, `failed` or `elsewhere`, and a message about it. */
export function imageReadiness(context: Context, image: string): { state: string; message: string } {
  if (isImageReady(context, image)) return { state: "ready", message: "" };
  if (!context.config.imageMap.images.has(image))
    return { state: "failed", message: "The image is not in the image map." };
  const unfit = unfitHere(context, image);
  if (unfit !== null) return { state: unfit.needs === null ? "failed" : "elsewhere", message: unfit.problem };
  const state = context.images.state(image);
  if (state.kind === "failed") return { state: "failed", message: state.message };
  if (state.kind !== "preparing") return { state: state.kind, message: "" };
  const done = `${formatBytes(state.doneBytes)}${state.totalBytes === null ? "" : ` of ${formatBytes(state.totalBytes)}`}`;
  const trouble = state.trouble === undefined ? "" : `; the last try failed: ${state.trouble}`;
  return { state: "preparing", message: `${state.phase}: ${done}${trouble}` };
}
