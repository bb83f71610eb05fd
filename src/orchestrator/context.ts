import type { Logger } from "pino";
import type { OrchestratorConfig } from "../config/orchestrator-config.ts";
import type { HostPhase, LifecycleLimits } from "../core/lifecycle.ts";
import type { Hypervisor } from "../hypervisor/hypervisor.ts";
import type { ImageStore } from "../images/image-store.ts";
import type { Store } from "../store/store.ts";
import type { HostIdentity } from "./identity.ts";
import type { KeyedLock } from "./keyed-lock.ts";

/** The log every part writes to: an object of facts, then a sentence. */
export type Log = Pick<Logger, "debug" | "info" | "warn" | "error">;

/** What the loops of one orchestrator share. Made once, in `main.ts`. */
export interface Context {
  readonly config: OrchestratorConfig;
  readonly identity: HostIdentity;
  readonly store: Store;
  readonly hypervisor: Hypervisor;
  readonly images: ImageStore;
  readonly log: Log;
  readonly limits: LifecycleLimits;
  /** When this process began to look, ms since the epoch. */
  readonly startedAt: number;
  /** The URL guests call. */
  readonly runnerUrl: string;
  /** Serialises what is done to one job's guest, between its driver and the audit. */
  readonly guestLock: KeyedLock;
  /** How far this host is on its way down. Changed only by `shutdown.ts`. */
  phase: HostPhase;
}

/** Whether `image` can be used now. The noop backend needs none. */
export function isImageReady(context: Context, image: string): boolean {
  return context.hypervisor.backend === "noop" || context.images.state(image).kind === "ready";
}
