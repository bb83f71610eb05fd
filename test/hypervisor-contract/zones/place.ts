import { writeFile } from "node:fs/promises";
import type { ZonesConfig } from "../../../src/config/zones-config.ts";
import { silentLog } from "../../../src/core/log.ts";
import { writeSeed } from "../../../src/guest/seed/seed-image.ts";
import { type RunCommand, runCommand } from "../../../src/host/command.ts";
import type { Hypervisor, WriteSeed } from "../../../src/hypervisor/hypervisor.ts";
import { createZonesHypervisor } from "../../../src/hypervisor/zones/zones.ts";
import { randomJobId } from "../contract.ts";

/** What a backend of zones is made of; plain data, so that a child process can make it as well. */
export interface ZonesPlace {
  readonly dataDir: string;
  readonly ownerId: string;
  readonly settings: ZonesConfig;
  /** `plain`: a file with the user-data, for guests without a machine. */
  readonly seeds: "whole" | "plain";
  readonly pollMs?: number;
  readonly observePauseMs?: number;
}

/** What the suite's own links are called, and where its guests have their addresses. */
export interface ZonesNetwork {
  readonly link: string;
  readonly vnic: string;
  /** The first three bytes of the addresses, of which the host has the first: `10.99.77`. */
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

/** Where an installation of its own is. */
export function zonesPlace(
  options: Pick<ZonesPlace, "dataDir" | "seeds" | "pollMs" | "observePauseMs"> & {
    pool: string;
    first: number;
  },
): ZonesPlace {
  const { pool, first, ...rest } = options;
  return { ...rest, ownerId: randomJobId(), settings: zonesSettings(pool, suiteNetwork, first) };
}

/** The backend at a place. */
export function openZones(place: ZonesPlace, run: RunCommand): Hypervisor {
  const { seeds, ...rest } = place;
  const write = seeds === "plain" ? writePlainSeed : writeSeed;
  return createZonesHypervisor({ ...rest, run, writeSeed: write, log: silentLog, imageRetentionSeconds: 0 });
}

/**
 * The backend, for a process that is killed: the commands are found by PATH.
 * @public
 */
export function openVictim(place: ZonesPlace): Hypervisor {
  return openZones(place, runCommand);
}

const writePlainSeed: WriteSeed = (path, { userData }) => writeFile(path, userData);
