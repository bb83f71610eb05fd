import type { OrchestratorConfig } from "../config/orchestrator-config.ts";
import { errorText, SolsticeError } from "../core/errors.ts";
import { expectedBackend, imagesFor } from "../core/hosts/backend-fit.ts";
import type { Backend } from "../core/job/job.ts";
import type { Log } from "../core/log.ts";
import { createLibvirtClient } from "../libvirt/index.ts";
import type { Hypervisor, WriteSeed } from "./hypervisor.ts";
import type { KvmProbe } from "./libvirt/virt-type.ts";

/**
 * Free bytes required to create a guest, if the host's reserve is not smaller. The disk guard stops new jobs long
 * before.
 */
const guestReserveBytes = 1024 ** 3;

/** Directory of the brand of bhyve zones on illumos. */
const bhyveBrand = "/usr/lib/brand/bhyve";

/** Input of {@link createHypervisor} besides the configuration. */
export interface HypervisorOptions {
  readonly config: Pick<
    OrchestratorConfig,
    | "hypervisor"
    | "libvirtUri"
    | "libvirtNetwork"
    | "libvirtVirtType"
    | "dataDir"
    | "diskReserveBytes"
    | "noop"
    | "imageMap"
    | "firewall"
    | "guestLanAccess"
    | "guestHostPorts"
    | "zones"
    | "imageRetentionSeconds"
  >;
  /** The mark of this installation's guests; the same after a restart. */
  readonly ownerId: string;
  readonly log: Log;
  /** `writeSeed` of src/guest. */
  readonly writeSeed: WriteSeed;
  /** Reports if KVM really works here; called only when the virt type is `auto`. */
  readonly probeKvm?: KvmProbe;
}

/** Creates the configured backend, which is not prepared yet. Throws like {@link chooseHypervisor}. */
export async function createHypervisor(options: HypervisorOptions): Promise<Hypervisor> {
  const { config, log } = options;
  const backend = await chooseHypervisor(config.hypervisor, {
    platform: process.platform,
    whyNoLibvirt: () => whyNoLibvirt(config.libvirtUri),
  });
  log.info({ hypervisor: backend }, "chose the hypervisor");
  return openers[backend](options);
}

/**
 * Creates each backend from its part of the configuration. Only the chosen one is loaded: libvirt's loads two XML
 * libraries.
 */
const openers: Readonly<Record<Backend, (options: HypervisorOptions) => Promise<Hypervisor>>> = {
  async libvirt({ config, ownerId, log, writeSeed, probeKvm }) {
    const { dataDir, libvirtUri: uri, libvirtNetwork: network, libvirtVirtType: virtType } = config;
    const reserveBytes = Math.min(guestReserveBytes, config.diskReserveBytes);
    const host = { uri, network, virtType, dataDir, reserveBytes, firewall: firewallSettings(config) };
    const { createLibvirtHypervisor } = await import("./libvirt/libvirt.ts");
    return createLibvirtHypervisor({ ...host, ownerId, log, writeSeed, probeKvm });
  },
  async zones({ config, ownerId, log, writeSeed }) {
    const { zones: settings, dataDir, imageRetentionSeconds } = config;
    const brandDirectory = process.platform === "sunos" ? bhyveBrand : null;
    const reserveBytes = Math.min(guestReserveBytes, config.diskReserveBytes);
    const { createZonesHypervisor } = await import("./zones/zones.ts");
    return createZonesHypervisor({
      ...{ settings, dataDir, ownerId, log, writeSeed, imageRetentionSeconds, brandDirectory, reserveBytes },
    });
  },
  async noop({ config, ownerId, log }) {
    const { createNoopHypervisor } = await import("./noop/noop.ts");
    return createNoopHypervisor({ ...config.noop, dataDir: config.dataDir, ownerId, log });
  },
};

function firewallSettings(config: HypervisorOptions["config"]) {
  if (config.firewall === "off") return null;
  const egress = () =>
    [...imagesFor(config.imageMap, "libvirt").images.values()].map((image) => image.egress);
  return { egress, lanAccess: config.guestLanAccess, hostPorts: config.guestHostPorts };
}

/** Input of {@link chooseHypervisor}. */
export interface HostFacts {
  readonly platform: NodeJS.Platform;
  /** Returns the reason why libvirt cannot be used, or null when it answers. */
  readonly whyNoLibvirt: () => Promise<string | null>;
}

/**
 * Chooses the backend. `auto` chooses zones on illumos, elsewhere libvirt if it answers, and never `noop`, which would
 * only simulate jobs. Throws `hypervisor_unavailable` with the packages to install.
 */
export async function chooseHypervisor(
  asked: OrchestratorConfig["hypervisor"],
  facts: HostFacts,
): Promise<Backend> {
  if (asked !== "auto") return asked;
  if (expectedBackend(asked, facts.platform) === "zones") return "zones";
  const problem = await facts.whyNoLibvirt();
  if (problem === null) return "libvirt";
  throw new SolsticeError("hypervisor_unavailable", `No hypervisor answers on this host: ${problem}`, {
    remedy:
      "On Debian run scripts/setup-host.sh; elsewhere install and start libvirt with QEMU. HYPERVISOR=noop tries the rest without guests.",
  });
}

async function whyNoLibvirt(uri: string): Promise<string | null> {
  try {
    (await createLibvirtClient({ uri })).close();
    return null;
  } catch (error) {
    return errorText(error);
  }
}
