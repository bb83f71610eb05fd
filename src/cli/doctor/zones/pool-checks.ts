import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { OrchestratorConfig } from "../../../config/orchestrator-config.ts";
import { SolsticeError } from "../../../core/errors.ts";
import { imagesFor } from "../../../core/hosts/backend-fit.ts";
import { guestName } from "../../../core/job/job.ts";
import { formatBytes } from "../../../host/files/disk-space.ts";
import { type ImageRow, openImageStore } from "../../../images/index.ts";
import { type Check, type Finding, fail, ok, warn } from "../check.ts";
import type { Illumos } from "./observe.ts";

const deadlineSeconds = 20;
const gibibyte = 1024 ** 3;
/** Smallest free space that has room for one image. */
const scarceBytes = 2 * gibibyte;
/** `sun_path` of illumos' sockaddr_un has 108 bytes, the last of them 0. */
const socketPathMax = 107;
/** An id with the length of job ids. */
const anyJobId = "0".repeat(12);

/** The properties to read; zfs prints `-` for one that is not set. */
const properties = ["type", "available", "mountpoint", "solstice:owner"] as const;

type PoolTarget = Pick<OrchestratorConfig, "zones" | "dataDir" | "imageMap">;

/** Properties of a dataset, from zfs. */
export interface DatasetFacts {
  readonly type: string;
  readonly availableBytes: number;
  readonly mountpoint: string;
  /** The id of the installation that owns the dataset, or null. */
  readonly owner: string | null;
}

/** Checks the dataset: its parent, its owner, its free space, and the paths below it. */
export function poolChecks(host: Illumos, target: PoolTarget): Check[] {
  const { pool } = target.zones;
  return [
    { name: "dataset", run: () => checkDataset(host, target) },
    { name: "room for images", run: () => checkPoolSpace(host, target) },
    {
      name: "socket paths",
      run: async () => judgeSocketPath(await zonesDirectory(host, pool), pool),
    },
  ];
}

async function checkDataset(host: Illumos, { zones, dataDir }: PoolTarget): Promise<Finding> {
  const parent = parentOf(zones.pool);
  const [facts, parentFacts] = [await readFacts(host, zones.pool), await readFacts(host, parent)];
  const ownId = await readFile(join(dataDir, "host-id"), "utf8").catch(() => "");
  return judgeDataset({ name: zones.pool, parent, facts, parentFacts, ownId: ownId.trim() || null });
}

/** Facts about the dataset and its parent; null for a dataset that does not exist. */
export interface DatasetObservation {
  readonly name: string;
  readonly parent: string;
  readonly facts: DatasetFacts | null;
  readonly parentFacts: DatasetFacts | null;
  /** This installation's id; null before its first start. */
  readonly ownId: string | null;
}

/** Checks that the dataset exists and belongs to this installation, or can be created. */
export function judgeDataset({ name, parent, facts, parentFacts, ownId }: DatasetObservation): Finding {
  if (!facts) {
    if (parentFacts) return ok(`The orchestrator creates ${name} at its start.`);
    return fail(
      `Neither ${name} nor its parent ${parent} exists.`,
      parent.includes("/")
        ? `zfs create -p ${parent}`
        : "zpool list   # then set ZONES_POOL to POOL/solstice",
    );
  }
  if (facts.type !== "filesystem") {
    return fail(`${name} is a ${facts.type} and not a file system.`, "set ZONES_POOL to another dataset");
  }
  if (facts.owner !== null && facts.owner !== ownId) {
    return fail(
      `${name} belongs to another installation of Solstice: its owner is ${facts.owner}, this one is ${ownId ?? "new"}.`,
      `set ZONES_POOL to another dataset. Only if that installation is gone: zfs inherit solstice:owner ${name}`,
    );
  }
  if (facts.owner === null && ownId !== null) {
    return warn(`${name} exists and has no owner yet; the orchestrator sets its owner at its start.`, null);
  }
  return ok(`${name} exists${facts.owner === null ? "" : " and belongs to this installation"}.`);
}

async function checkPoolSpace(host: Illumos, { zones, imageMap, dataDir }: PoolTarget): Promise<Finding> {
  const facts = (await readFacts(host, zones.pool)) ?? (await readFacts(host, parentOf(zones.pool)));
  if (!facts) return warn("Not checked: neither the dataset nor its parent exists.", null);
  const rows = await openImageStore({ imageMap: imagesFor(imageMap, "zones"), dataDir }).inspect();
  return judgePoolSpace(facts.availableBytes, rows);
}

/** Checks that the ready images have room as volumes. A volume needs its disk's virtual size at most. */
export function judgePoolSpace(
  availableBytes: number,
  images: readonly Pick<ImageRow, "virtualSizeBytes">[],
): Finding {
  const needed = images.reduce((sum, { virtualSizeBytes }) => sum + (virtualSizeBytes ?? 0), 0);
  const detail = `${formatBytes(availableBytes)} free in the pool; the images may need ${formatBytes(needed)} of it.`;
  const remedy = "zfs list -o space   # then free some, or set ZONES_POOL to a larger pool";
  if (availableBytes < scarceBytes) return fail(detail, remedy);
  return availableBytes < needed ? warn(detail, remedy) : ok(detail);
}

/** Checks that the paths of the console sockets fit into a socket's address. */
export function judgeSocketPath(directory: string | null, pool: string): Finding {
  if (directory === null || !directory.startsWith("/")) {
    return fail(
      `Zones have no directory: the mountpoint below ${pool} is ${directory ?? "unknown"}.`,
      `zfs set mountpoint=/solstice ${pool}`,
    );
  }
  const path = join(directory, guestName(anyJobId), "root/tmp/vm.com1");
  const bytes = Buffer.byteLength(path);
  if (bytes <= socketPathMax) return ok(`${path} has ${bytes} of ${socketPathMax} bytes.`);
  return fail(
    `The path of a guest's console socket has ${bytes} bytes, but at most ${socketPathMax} are allowed: ${path}`,
    `zfs set mountpoint=/solstice ${pool}   # or a shorter ZONES_POOL`,
  );
}

/** The directory of zones. For a dataset that does not exist yet, derived from its parent's mountpoint. */
async function zonesDirectory(host: Illumos, pool: string): Promise<string | null> {
  const zones = `${pool}/zones`;
  for (const dataset of [zones, pool, parentOf(pool)]) {
    const facts = await readFacts(host, dataset);
    if (!facts) continue;
    const { mountpoint } = facts;
    return mountpoint.startsWith("/") ? join(mountpoint, zones.slice(dataset.length)) : mountpoint;
  }
  return null;
}

/** The facts about a dataset, or null if it does not exist. Throws `hypervisor_failed` for other errors of zfs. */
async function readFacts({ run }: Illumos, dataset: string): Promise<DatasetFacts | null> {
  const args = ["get", "-Hp", "-o", "property,value", properties.join(","), dataset];
  const { exitCode, stdout, stderr } = await run("zfs", args, { deadlineSeconds, acceptExitCodes: [0, 1] });
  if (exitCode === 0) return readDataset(stdout.split("\n"));
  if (stderr.includes("dataset does not exist")) return null;
  throw new SolsticeError("hypervisor_failed", `zfs does not show ${dataset}: ${stderr.trim()}`);
}

/** Parses the output of `zfs get -Hp -o property,value`. */
export function readDataset(lines: readonly string[]): DatasetFacts {
  const values = new Map(lines.map((line) => line.split("\t") as [string, string]));
  const owner = values.get("solstice:owner") ?? "-";
  return {
    type: values.get("type") ?? "",
    availableBytes: Number(values.get("available") ?? 0) || 0,
    mountpoint: values.get("mountpoint") ?? "",
    owner: owner === "-" ? null : owner,
  };
}

function parentOf(dataset: string): string {
  return dataset.slice(0, dataset.lastIndexOf("/"));
}
