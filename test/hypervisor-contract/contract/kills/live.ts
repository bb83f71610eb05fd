import type { GuestSpec, Hypervisor } from "../../../../src/hypervisor/hypervisor.ts";

/** How far a guest is taken. */
export type LifePart = "whole" | "creation";

/** Takes a guest through all that a backend does with one, or through its creation only. */
export async function live(hypervisor: Hypervisor, spec: GuestSpec, part: LifePart = "whole"): Promise<void> {
  const { jobId } = spec;
  await hypervisor.create(spec);
  if (part === "creation") return;
  await hypervisor.start(jobId);
  await hypervisor.requestShutdown(jobId);
  await hypervisor.destroy(jobId);
  await hypervisor.start(jobId);
  await hypervisor.remove(jobId);
}
