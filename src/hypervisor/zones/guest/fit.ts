import { SolsticeError } from "../../../core/errors.ts";
import { unfitness } from "../../../core/hosts/backend-fit.ts";
import type { GuestSpec } from "../../hypervisor.ts";

/**
 * Throws `hypervisor_failed`, with all reasons, for a guest whose image this backend does not support. The orchestrator
 * assigns no such guest to this backend (by the same table). The check stays because without an error the guest would
 * have more network access than its image allows.
 */
export function refuseUnfit({ seedFormat, diskBus, nicModel, firmware, egress }: GuestSpec): void {
  const unfit = unfitness({ backend: null, seed: seedFormat, diskBus, nicModel, firmware, egress }, "zones");
  if (unfit === null) return;
  throw new SolsticeError("hypervisor_failed", `The image does not fit this host. ${unfit.problem}`, {
    remedy: "Change the image's entry in the image map.",
  });
}
