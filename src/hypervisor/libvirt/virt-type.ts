import type { Log } from "../../core/log.ts";
import type { VirtType } from "./guest/domain-xml.ts";

/** Reports if a guest really runs under KVM here: a `/dev/kvm` that opens is not proof on nested hosts. */
export type KvmProbe = () => Promise<{ readonly works: boolean; readonly detail: string }>;

/** Input of {@link chooseVirtType}. */
export interface VirtTypeFacts {
  readonly requested: "auto" | VirtType;
  /** libvirt's capabilities XML. */
  readonly capabilities: string;
  readonly probeKvm: KvmProbe | undefined;
  readonly log: Log;
}

/**
 * Returns the requested type. `auto` becomes `kvm` if libvirt offers KVM and the probe (if there is one) succeeds; otherwise
 * `qemu`, with a warning.
 */
export async function chooseVirtType({
  requested,
  capabilities,
  probeKvm,
  log,
}: VirtTypeFacts): Promise<VirtType> {
  if (requested !== "auto") return requested;
  const obstacle = await kvmObstacle(capabilities, probeKvm);
  if (obstacle === null) return "kvm";
  log.warn({ reason: obstacle }, "guests run under software emulation, which is many times slower than KVM");
  return "qemu";
}

async function kvmObstacle(capabilities: string, probeKvm: KvmProbe | undefined): Promise<string | null> {
  if (!/<domain type=['"]kvm['"]/.test(capabilities)) return "libvirt offers no KVM on this host";
  const probed = await probeKvm?.();
  return probed === undefined || probed.works ? null : probed.detail;
}
