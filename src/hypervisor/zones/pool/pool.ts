import { chmod } from "node:fs/promises";
import { SolsticeError } from "../../../core/errors.ts";
import { formatBytes } from "../../../host/files/disk-space.ts";
import { type CommandHost, succeed } from "../commands.ts";
import { consoleSocket, maxSocketPathBytes, socketPath } from "../console/sockets.ts";
import { ownershipProperties } from "../ownership.ts";
import { findDataset } from "./datasets.ts";

/** How long a guest's name may be: `job-` and the longest id. */
const longestGuestName = "job-".padEnd(16, "0");

/**
 * Makes the datasets of this installation where they are missing. Refuses a pool that somebody else uses, one whose parent is
 * missing, and one under which a zone's sockets would have too long a path: `hypervisor_failed`, with what to do.
 */
export async function preparePool(
  host: CommandHost,
  { pool, ownerId }: { pool: string; ownerId: string },
): Promise<void> {
  await requireParent(host, pool);
  const found = await findDataset(host, pool, [ownershipProperties.owner]);
  if (found === null) {
    await succeed(host, "zfs", ["create", "-o", `${ownershipProperties.owner}=${ownerId}`, pool]);
  } else {
    refuseForeign(pool, ownerId, found.properties.get(ownershipProperties.owner));
  }
  for (const child of ["images", "disks"])
    await ensureDataset(host, `${pool}/${child}`, ["-o", "canmount=off"]);
  await ensureDataset(host, `${pool}/zones`, []);
  const directory = await zonesDirectory(host, pool);
  // zoneadm wants the directory of a zone's path closed to everybody else.
  await chmod(directory, 0o700);
}

/** Where the zones' directories are. Throws `hypervisor_failed` where the dataset is nowhere mounted. */
export async function zonesDirectory(host: CommandHost, pool: string): Promise<string> {
  const dataset = `${pool}/zones`;
  const directory = (await succeed(host, "zfs", ["get", "-H", "-o", "value", "mountpoint", dataset])).trim();
  if (!directory.startsWith("/")) {
    throw new SolsticeError(
      "hypervisor_failed",
      `The dataset ${dataset} has the mountpoint "${directory}".`,
      {
        remedy: `Give it a place: zfs set mountpoint=/solstice/zones ${dataset}`,
      },
    );
  }
  const longest = socketPath(`${directory}/${longestGuestName}`, consoleSocket);
  if (Buffer.byteLength(longest) <= maxSocketPathBytes) return directory;
  throw new SolsticeError(
    "hypervisor_failed",
    `The console of a zone below ${directory} would be ${longest}: more than ${maxSocketPathBytes} bytes, which a socket cannot have.`,
    { remedy: `Give it a shorter path: zfs set mountpoint=/solstice/zones ${dataset}` },
  );
}

/**
 * Refuses to make a guest where the pool has less than `reserveBytes` left: disks are made without reserving their size, so
 * that guests find it full, and not we. Throws `disk_full`.
 */
export async function requireFreeSpace(host: CommandHost, pool: string, reserveBytes: number): Promise<void> {
  const found = await findDataset(host, pool, ["available"]);
  const free = Number(found?.properties.get("available"));
  // What is not said is not known to be too little.
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
      `ZONES_POOL is no dataset below a pool: ${JSON.stringify(pool)}.`,
      {
        remedy: "Name one as in rpool/solstice.",
      },
    );
  }
  if ((await findDataset(host, parent, ["type"])) !== null) return;
  throw new SolsticeError(
    "hypervisor_failed",
    `The dataset ${parent} does not exist, so ${pool} cannot be made in it.`,
    {
      remedy: `Make it (zfs create ${parent}), or name another with ZONES_POOL; \`zpool list\` shows the pools.`,
    },
  );
}

function refuseForeign(pool: string, ownerId: string, owner: string | undefined): void {
  if (owner === ownerId) return;
  const whose =
    owner === undefined ? "was not made by an orchestrator" : `belongs to the installation ${owner}`;
  throw new SolsticeError("hypervisor_failed", `The dataset ${pool} exists and ${whose}.`, {
    remedy: `Name another with ZONES_POOL. If all in it may be used and removed by this one: zfs set ${ownershipProperties.owner}=${ownerId} ${pool}`,
  });
}

async function ensureDataset(host: CommandHost, name: string, options: readonly string[]): Promise<void> {
  if ((await findDataset(host, name, ["type"])) !== null) return;
  await succeed(host, "zfs", ["create", ...options, name]);
}
