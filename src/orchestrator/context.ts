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

/** What the loops of one orchestrator share. Made once, in `main.ts`. */
export interface Context {
  readonly config: OrchestratorConfig;
  readonly identity: HostIdentity;
  readonly store: Store;
  readonly hypervisor: Hypervisor;
  readonly images: ImageStore;
  /** What guests sent, and what is kept for them. */
  readonly blobs: BlobStore;
  readonly caches: HostCaches;
  readonly log: Log;
  readonly limits: LifecycleLimits;
  /** When this process began to look, ms since the epoch. */
  readonly startedAt: number;
  /** The URL guests call. */
  readonly runnerUrl: string;
  /** Serialises what is done to one job's guest, between its driver and the audit. */
  readonly guestLock: KeyedLock;
  /** What the comparisons of this host with the store have found. */
  readonly audits: AuditState;
  /** The broker; null where jobs come through the API only. */
  readonly messaging: Messaging | null;
  /** Who is in which guest on hold. */
  readonly shells: GuestShells;
  /** Whether guests get at their jobs' repositories. */
  readonly reach: RepositoryReach;
  readonly diskGuard: DiskGuard;
  /** The operator's secrets, as they are now. */
  readonly secrets: SecretFiles;
  /** What is masked in the logs of attempts under way. */
  readonly masks: AttemptMasks;
  readonly retention: RetentionState;
  /** Why this host starts no jobs although it serves, in one sentence that says what to do; null when it does. */
  readonly pausedReason: () => string | null;
  /** Whether an operator drains this host. */
  readonly drainRecord: DrainRecord;
  /** How far this host is on its way down. Changed only by `process/shutdown.ts`. */
  phase: HostPhase;
}

/** Whether this host starts no more jobs: it goes down, or an operator drains it. */
export function isDraining({ phase, drainRecord }: Pick<Context, "phase" | "drainRecord">): boolean {
  return phase !== "serving" || drainRecord.since() !== null;
}

/** Why this host does not run an image of its map; null where it does, and where the map does not have it. */
export function unfitHere({ config, hypervisor }: Context, image: string): Unfit | null {
  const definition = config.imageMap.images.get(image);
  return definition === undefined ? null : unfitness(definition, hypervisor.backend);
}

/** Whether this host runs `image`, ready or not: it is of its map, and for its backend. */
export function isImageServed(context: Context, image: string): boolean {
  return context.config.imageMap.images.has(image) && unfitHere(context, image) === null;
}

/** Whether this host runs `image`, and it can be used now. The noop backend needs no more than its name. */
export function isImageReady(context: Context, image: string): boolean {
  if (!isImageServed(context, image)) return false;
  return context.hypervisor.backend === "noop" || context.images.state(image).kind === "ready";
}

/** What this host knows of an image that it cannot use now. */
export function imageHere(context: Context, image: string): ImageHere {
  if (!context.config.imageMap.images.has(image)) return { kind: "absent", message: "" };
  const unfit = unfitHere(context, image);
  if (unfit?.needs) return { kind: "elsewhere", needs: unfit.needs };
  if (unfit !== null) return { kind: "failed", message: unfit.problem };
  const state = context.images.state(image);
  if (state.kind !== "failed") return { kind: "pending", message: "" };
  return { kind: state.permanent ? "failed" : "pending", message: state.message };
}

/** An image's state in words, for people: `ready`, `preparing`, `failed` or `elsewhere`, and what there is to say of it. */
export function imageReadiness(context: Context, image: string): { state: string; message: string } {
  if (isImageReady(context, image)) return { state: "ready", message: "" };
  if (!context.config.imageMap.images.has(image))
    return { state: "failed", message: "It is not in the image map." };
  const unfit = unfitHere(context, image);
  if (unfit !== null) return { state: unfit.needs === null ? "failed" : "elsewhere", message: unfit.problem };
  const state = context.images.state(image);
  if (state.kind === "failed") return { state: "failed", message: state.message };
  if (state.kind !== "preparing") return { state: state.kind, message: "" };
  const done = `${formatBytes(state.doneBytes)}${state.totalBytes === null ? "" : ` of ${formatBytes(state.totalBytes)}`}`;
  const trouble = state.trouble === undefined ? "" : `; the last try failed: ${state.trouble}`;
  return { state: "preparing", message: `${state.phase}: ${done}${trouble}` };
}
