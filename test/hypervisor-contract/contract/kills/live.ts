import type { GuestSpec, Hypervisor } from "../../../../src/hypervisor/hypervisor.ts";

/**
 * The part of a guest's life: all that a backend does with a guest; a guest's creation only; or the first use of a
 * host, and a creation.
 */
export type LifePart = "whole" | "creation" | "first use";

/** Runs a life. Except for the first use, the host has been prepared before. */
export async function live(hypervisor: Hypervisor, spec: GuestSpec, part: LifePart = "whole"): Promise<void> {
  const { jobId } = spec;
  if (part === "first use") await hypervisor.prepare();
  await hypervisor.create(spec);
  if (part !== "whole") return;
  await hypervisor.start(jobId);
  await hypervisor.requestShutdown(jobId);
  await hypervisor.destroy(jobId);
  await hypervisor.start(jobId);
  await hypervisor.remove(jobId);
}
