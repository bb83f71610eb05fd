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
/** Less than this, and not even one image fits. */
const scarceBytes = 2 * gibibyte;
/** `sun_path` of illumos' sockaddr_un has 108 bytes, the last of them 0. */
const socketPathMax = 107;
/** An id as long as those that jobs get. */
const anyJobId = "0".repeat(12);

/** The properties that are looked at; what is not set reads `-`. */
const properties = ["type", "available", "mountpoint", "solstice:owner"] as const;

type PoolTarget = Pick<OrchestratorConfig, "zones" | "dataDir" | "imageMap">;

/** What zfs says of a dataset. */
export interface DatasetFacts {
  readonly type: string;
  readonly availableBytes: number;
  readonly mountpoint: string;
  /** The installation that it is marked by, or null. */
  readonly owner: string | null;
}

/** Whether the dataset can be used: its parent, its owner, its room, and the paths below it. */
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
  const [facts, parentFacts] = [await lookAt(host, zones.pool), await lookAt(host, parent)];
  const ownId = await readFile(join(dataDir, "host-id"), "utf8").catch(() => "");
  return judgeDataset({ name: zones.pool, parent, facts, parentFacts, ownId: ownId.trim() || null });
}

/** What is known of the dataset and its parent; null where it does not exist. */
export interface DatasetObservation {
  readonly name: string;
  readonly parent: string;
  readonly facts: DatasetFacts | null;
  readonly parentFacts: DatasetFacts | null;
  /** This installation's id; null before its first start. */
  readonly ownId: string | null;
}

/** Whether the dataset is there and ours, or can be made. */
export function judgeDataset({ name, parent, facts, parentFacts, ownId }: DatasetObservation): Finding {
  if (!facts) {
    if (parentFacts) return ok(`${name} is made when the orchestrator starts.`);
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
    return warn(`${name} exists and is not marked yet; the orchestrator marks it as its own.`, null);
  }
  return ok(`${name} exists${facts.owner === null ? "" : ", and is ours"}.`);
}

async function checkPoolSpace(host: Illumos, { zones, imageMap, dataDir }: PoolTarget): Promise<Finding> {
  const facts = (await lookAt(host, zones.pool)) ?? (await lookAt(host, parentOf(zones.pool)));
  if (!facts) return warn("Not looked at: the dataset has no parent.", null);
  const rows = await openImageStore({ imageMap: imagesFor(imageMap, "zones"), dataDir }).inspect();
  return judgePoolSpace(facts.availableBytes, rows);
}

/** Whether the images that are ready have room as volumes, which take at most what their disks have. */
export function judgePoolSpace(
  availableBytes: number,
  images: readonly Pick<ImageRow, "virtualSizeBytes">[],
): Finding {
  const needed = images.reduce((sum, { virtualSizeBytes }) => sum + (virtualSizeBytes ?? 0), 0);
  const detail = `${formatBytes(availableBytes)} free in the pool; the images here may take ${formatBytes(needed)} of it.`;
  const remedy = "zfs list -o space   # then free some, or set ZONES_POOL to a larger pool";
  if (availableBytes < scarceBytes) return fail(detail, remedy);
  return availableBytes < needed ? warn(detail, remedy) : ok(detail);
}

/** Whether the sockets of guests' consoles fit below the mountpoint. */
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
    `The path of a guest's console has ${bytes} bytes, and a socket's may have ${socketPathMax}: ${path}`,
    `zfs set mountpoint=/solstice ${pool}   # or a shorter ZONES_POOL`,
  );
}

/** Where zones are, or would be: a dataset that is yet to be made inherits its parent's place. */
async function zonesDirectory(host: Illumos, pool: string): Promise<string | null> {
  const zones = `${pool}/zones`;
  for (const dataset of [zones, pool, parentOf(pool)]) {
    const facts = await lookAt(host, dataset);
    if (!facts) continue;
    const { mountpoint } = facts;
    return mountpoint.startsWith("/") ? join(mountpoint, zones.slice(dataset.length)) : mountpoint;
  }
  return null;
}

/** Null where zfs says that it does not exist; what else it says is an error. */
async function lookAt({ run }: Illumos, dataset: string): Promise<DatasetFacts | null> {
  const args = ["get", "-Hp", "-o", "property,value", properties.join(","), dataset];
  const { exitCode, stdout, stderr } = await run("zfs", args, { deadlineSeconds, acceptExitCodes: [0, 1] });
  if (exitCode === 0) return readDataset(stdout.split("\n"));
  if (stderr.includes("dataset does not exist")) return null;
  throw new SolsticeError("hypervisor_failed", `zfs does not show ${dataset}: ${stderr.trim()}`);
}

/** Reads what `zfs get -Hp -o property,value` prints. */
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
