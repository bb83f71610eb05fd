import type { NoopConfig } from "../../config/orchestrator-config.ts";
import type { Hypervisor } from "../hypervisor.ts";
import { createDelayHypervisor } from "./delay.ts";
import { createProcessHypervisor, type ProcessOptions } from "./process.ts";

/** Options of {@link createNoopHypervisor}. */
export type NoopOptions = NoopConfig & ProcessOptions;

/** Creates the backend without guests, for development without privileges and for load tests. */
export function createNoopHypervisor(options: NoopOptions): Hypervisor {
  return options.runner === "delay" ? createDelayHypervisor(options) : createProcessHypervisor(options);
}
