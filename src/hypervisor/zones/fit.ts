import { SolsticeError } from "../../core/errors.ts";
import type { GuestSpec } from "../hypervisor.ts";

/** What bhyve's devices, and this backend, can be of an image's wishes. */
const possible = {
  disk_bus: ["virtio", "sata"],
  nic_model: ["virtio", "e1000"],
} as const;

/** Refuses a guest that this backend cannot make as its image wants it: `hypervisor_failed`, with all that is in the way. */
export function refuseUnfit({ diskBus, nicModel, egress }: GuestSpec): void {
  const problems = [
    ...(isOneOf(possible.disk_bus, diskBus) ? [] : [`disk_bus: ${diskBus}`]),
    ...(isOneOf(possible.nic_model, nicModel) ? [] : [`nic_model: ${nicModel}`]),
    ...(egress === "open" ? [] : [`egress: ${typeof egress === "string" ? egress : "a list"}`]),
  ];
  if (problems.length === 0) return;
  throw new SolsticeError("hypervisor_failed", `A zone cannot have what the image asks for: ${problems.join(", ")}.`, {
    remedy: `In zones disk_bus is ${possible.disk_bus.join(" or ")}, nic_model ${possible.nic_model.join(" or ")}, and egress open. Say "backend: libvirt" for this image, or change it.`,
  });
}

function isOneOf(values: readonly string[], value: string): boolean {
  return values.includes(value);
}
