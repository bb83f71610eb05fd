import { chmod } from "node:fs/promises";
import { SolsticeError } from "../../../core/errors.ts";
import { formatBytes } from "../../../host/files/disk-space.ts";
import { type CommandHost, executeOrThrow } from "../commands.ts";
import { consoleSocket, maxSocketPathBytes, socketPath } from "../console/sockets.ts";
import { ownershipProperties } from "../ownership.ts";
import { findDataset } from "./datasets.ts";

/** Longest name of a guest: `job-` and the longest id. */
const longestGuestName = "job-".padEnd(16, "0");

/**
 * Creates the missing datasets of this installation. Throws `hypervisor_failed`, with the remedy, for a pool of another
 * owner, for one whose parent is missing, and for one in which the paths of zones' sockets would be too long.
 */
export async function preparePool(
  host: CommandHost,
  { pool, ownerId }: { pool: string; ownerId: string },
): Promise<void> {
  await requireParent(host, pool);
  const found = await findDataset(host, pool, [ownershipProperties.owner]);
  if (found === null) {
    await executeOrThrow(host, "zfs", ["create", "-o", `${ownershipProperties.owner}=${ownerId}`, pool]);
  } else {
    refuseForeign(pool, ownerId, found.properties.get(ownershipProperties.owner));
  }
  for (const child of ["images", "disks"])
    await ensureDataset(host, `${pool}/${child}`, ["-o", "canmount=off"]);
  await ensureDataset(host, `${pool}/zones`, []);
  const directory = await zonesDirectory(host, pool);
  // zoneadm requires that other users have no access to the directory of a zone's path.
  await chmod(directory, 0o700);
}

/** Returns the directory of the zones. Throws `hypervisor_failed` when the dataset is not mounted. */
export async function zonesDirectory(host: CommandHost, pool: string): Promise<string> {
  const dataset = `${pool}/zones`;
  const directory = (
    await executeOrThrow(host, "zfs", ["get", "-H", "-o", "value", "mountpoint", dataset])
  ).trim();
  if (!directory.startsWith("/")) {
    throw new SolsticeError(
      "hypervisor_failed",
      `The dataset ${dataset} has the mountpoint "${directory}".`,
      {
        remedy: `Set a mountpoint: zfs set mountpoint=/solstice/zones ${dataset}`,
      },
    );
  }
  const longest = socketPath(`${directory}/${longestGuestName}`, consoleSocket);
  if (Buffer.byteLength(longest) <= maxSocketPathBytes) return directory;
  throw new SolsticeError(
    "hypervisor_failed",
    `The console of a zone below ${directory} would be ${longest}: longer than ${maxSocketPathBytes} bytes, the limit of a socket's path.`,
    { remedy: `Set a shorter mountpoint: zfs set mountpoint=/solstice/zones ${dataset}` },
  );
}

/**
 * Throws `disk_full` when the pool has less than `reserveBytes` left: disks are created without reserving their size,
 * so that a full pool affects guests, not the orchestrator.
 */
export async function requireFreeSpace(host: CommandHost, pool: string, reserveBytes: number): Promise<void> {
  const found = await findDataset(host, pool, ["available"]);
  const free = Number(found?.properties.get("available"));
  // An unknown size does not count as too small.
  if (!(free < reserveBytes)) return;
  throw new SolsticeError(
    "disk_full",
    `Only ${formatBytes(free)} are free in ${pool}; a new guest needs ${formatBytes(reserveBytes)}.`,
    { remedy: "Free space in the pool, or set another one (ZONES_POOL)." },
  );
}

async function requireParent(host: CommandHost, pool: string): Promise<void> {
  const parent = pool.slice(0, pool.lastIndexOf("/"));
  if (!/^[A-Za-z][A-Za-z0-9_.-]*(\/[A-Za-z0-9][A-Za-z0-9_.-]*)+$/.test(pool)) {
    throw new SolsticeError(
      "hypervisor_failed",
      `ZONES_POOL is not a dataset below a pool: ${JSON.stringify(pool)}.`,
      {
        remedy: "Set ZONES_POOL to a dataset such as rpool/solstice.",
      },
    );
  }
  if ((await findDataset(host, parent, ["type"])) !== null) return;
  throw new SolsticeError(
    "hypervisor_failed",
    `The dataset ${parent} does not exist, so ${pool} cannot be created in it.`,
    {
      remedy: `Create it (zfs create ${parent}), or set another with ZONES_POOL; \`zpool list\` shows the pools.`,
    },
  );
}

function refuseForeign(pool: string, ownerId: string, owner: string | undefined): void {
  if (owner === ownerId) return;
  const whose =
    owner === undefined ? "was not created by an orchestrator" : `belongs to the installation ${owner}`;
  throw new SolsticeError("hypervisor_failed", `The dataset ${pool} exists and ${whose}.`, {
    remedy: `Set another dataset with ZONES_POOL. To let this installation use and remove everything in it: zfs set ${ownershipProperties.owner}=${ownerId} ${pool}`,
  });
}

async function ensureDataset(host: CommandHost, name: string, options: readonly string[]): Promise<void> {
  if ((await findDataset(host, name, ["type"])) !== null) return;
  await executeOrThrow(host, "zfs", ["create", ...options, name]);
}
