import { SolsticeError } from "../../../core/errors.ts";
import { unfitness } from "../../../core/hosts/backend-fit.ts";
import type { GuestSpec } from "../../hypervisor.ts";

/**
 * Refuses a guest that this backend cannot make as its image wants it: `hypervisor_failed`, with all that is in the way. The
 * orchestrator gives no such guest to this backend (by the same table). The check stays because the alternative to an error would
 * be a guest with more network access than its image allows.
 */
export function refuseUnfit({ seedFormat, diskBus, nicModel, firmware, egress }: GuestSpec): void {
  const unfit = unfitness({ backend: null, seed: seedFormat, diskBus, nicModel, firmware, egress }, "zones");
  if (unfit === null) return;
  throw new SolsticeError("hypervisor_failed", `The image does not fit this host. ${unfit.problem}`, {
    remedy: "Change what the image map says of it.",
  });
}
