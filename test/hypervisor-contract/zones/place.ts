import { writeFile } from "node:fs/promises";
import type { ZonesConfig } from "../../../src/config/zones-config.ts";
import { silentLog } from "../../../src/core/log.ts";
import { writeSeed } from "../../../src/guest/seed/seed-image.ts";
import { type RunCommand, runCommand } from "../../../src/host/command.ts";
import type { Hypervisor, WriteSeed } from "../../../src/hypervisor/hypervisor.ts";
import { createZonesHypervisor } from "../../../src/hypervisor/zones/zones.ts";
import { randomJobId } from "../contract.ts";

/** The settings of a zones backend; plain data, so that a child process can use them as well. */
export interface ZonesPlace {
  readonly dataDir: string;
  readonly ownerId: string;
  readonly settings: ZonesConfig;
  /** `plain`: a file with the user-data, for guests without a machine. */
  readonly seeds: "whole" | "plain";
  readonly pollMs?: number;
  readonly observePauseMs?: number;
}

/** The names of the suite's own links, and the subnet of its guests. */
export interface ZonesNetwork {
  readonly link: string;
  readonly vnic: string;
  /** The first three bytes of the addresses; the host has the first address: `10.99.77`. */
  readonly addresses: string;
}

/** The network of the suite's guests. */
export const suiteNetwork: ZonesNetwork = {
  link: "solcontract0",
  vnic: "solcontracthost0",
  addresses: "10.99.77",
};

/** Settings of an installation whose guests have 90 addresses from `first` on. */
export function zonesSettings(
  pool: string,
  { link, vnic, addresses }: ZonesNetwork,
  first: number,
): ZonesConfig {
  const address = (last: number) => `${addresses}.${last}`;
  return {
    ...{ pool, link, vnic, gateway: address(1) },
    subnet: { address: address(0), prefix: 24 },
    addresses: { first: address(first), last: address(first + 90) },
    nameservers: ["192.0.2.53"],
  };
}

/** The settings of one installation. */
export function zonesPlace(
  options: Pick<ZonesPlace, "dataDir" | "seeds" | "pollMs" | "observePauseMs"> & {
    pool: string;
    first: number;
  },
): ZonesPlace {
  const { pool, first, ...rest } = options;
  return { ...rest, ownerId: randomJobId(), settings: zonesSettings(pool, suiteNetwork, first) };
}

/** The backend with these settings. */
export function openZones(place: ZonesPlace, run: RunCommand): Hypervisor {
  const { seeds, ...rest } = place;
  const write = seeds === "plain" ? writePlainSeed : writeSeed;
  return createZonesHypervisor({ ...rest, run, writeSeed: write, log: silentLog, imageRetentionSeconds: 0 });
}

/**
 * Opens the backend in a process that is killed; its commands are found by PATH.
 * @public
 */
export function openVictim(place: ZonesPlace): Hypervisor {
  return openZones(place, runCommand);
}

const writePlainSeed: WriteSeed = (path, { userData }) => writeFile(path, userData);
