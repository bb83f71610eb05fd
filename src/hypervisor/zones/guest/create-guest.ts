import { chmod, mkdir, rename } from "node:fs/promises";
import { SolsticeError } from "../../../core/errors.ts";
import { guestName } from "../../../core/job/job.ts";
import type { GuestSpec } from "../../hypervisor.ts";
import { executeOrThrow, slowSeconds } from "../commands.ts";
import { diskDataset, type GuestPaths, guestPaths } from "../guest-paths.ts";
import type { ZonesHost } from "../host.ts";
import { takeSlot, withNetwork } from "../network/guest-network.ts";
import { ensureVnic } from "../network/links.ts";
import type { GuestCard } from "../network/slots.ts";
import { type Ownership, ownershipProperties } from "../ownership.ts";
import { requireFreeSpace, zonesDirectory } from "../pool/pool.ts";
import { buildZoneConfig } from "../zone/zone-config.ts";
import { refuseUnfit } from "./fit.ts";
import { observeGuest } from "./observe.ts";
import { removeGuest } from "./remove-guest.ts";
import { type Creation, decideCreation, nextTeardownStep } from "./teardown.ts";

const bytesPerGib = 1024 ** 3;

/**
 * Creates a guest without power: its directory first, its zone's installation last. So an installed zone with our mark
 * is complete; an incomplete guest comes from a crash during create (or from an older attempt), and is created again.
 */
export async function createGuest(host: ZonesHost, spec: GuestSpec): Promise<void> {
  refuseUnfit(spec);
  const guest = await observeGuest(host, spec.jobId);
  const creation = decideCreation(guest, spec.attempt);
  if (creation.kind === "done") return;
  if (creation.kind !== "make") throw refusal(host, spec, creation);
  if (nextTeardownStep(guest) !== null) await removeGuest(host, spec.jobId);
  await requireFreeSpace(host, host.settings.pool, host.reserveBytes);
  const image = await host.images.take(spec);
  const paths = guestPaths(host.guestsDir, spec.jobId);
  await mkdir(paths.directory);
  // chmod, because mkdir's mode depends on the umask.
  await chmod(paths.directory, 0o700);
  const card = await takeSlot(host, spec.jobId);
  await writeSeed(host, spec, { paths, card });
  await makeDisk(host, spec, image);
  await ensureVnic(host, host.settings.link, card);
  await installZone(host, spec, { paths, card });
}

async function writeSeed(
  host: ZonesHost,
  spec: GuestSpec,
  { paths, card }: { paths: GuestPaths; card: GuestCard },
): Promise<void> {
  const partial = `${paths.seed}.partial`;
  await host.writeSeed(partial, await withNetwork(host.settings, spec.seed, card), spec.seedFormat);
  // The seed contains a token.
  await chmod(partial, 0o600);
  await rename(partial, paths.seed);
}

/** Clones the image, with the requested size but never smaller than the image; the size limits all writes of the guest. */
async function makeDisk(
  host: ZonesHost,
  spec: GuestSpec,
  image: { snapshot: string; bytes: number },
): Promise<void> {
  const dataset = diskDataset(host.settings.pool, spec.jobId);
  const { owner, jobId, attempt } = ownershipOfSpec(host, spec);
  const properties = [
    // The disk is removed with its guest: data lost in a crash of the host does not matter.
    "sync=disabled",
    `${ownershipProperties.owner}=${owner}`,
    `${ownershipProperties.job}=${jobId}`,
    `${ownershipProperties.attempt}=${attempt}`,
  ];
  const options = properties.flatMap((property) => ["-o", property]);
  await executeOrThrow(host, "zfs", ["clone", ...options, image.snapshot, dataset]);
  const bytes = Math.max(image.bytes, spec.size.diskGb * bytesPerGib);
  if (bytes > image.bytes) await executeOrThrow(host, "zfs", ["set", `volsize=${bytes}`, dataset]);
}

async function installZone(
  host: ZonesHost,
  spec: GuestSpec,
  { paths, card }: { paths: GuestPaths; card: GuestCard },
): Promise<void> {
  const name = guestName(spec.jobId);
  const text = buildZoneConfig(spec, {
    ownership: ownershipOfSpec(host, spec),
    zonePath: `${await zonesDirectory(host, host.settings.pool)}/${name}`,
    disk: diskDataset(host.settings.pool, spec.jobId),
    seedPath: paths.seed,
    vnic: card.vnic,
  });
  await executeOrThrow(host, "zonecfg", ["-z", name, text]);
  await executeOrThrow(host, "zoneadm", ["-z", name, "install"], { deadlineSeconds: slowSeconds });
}

function ownershipOfSpec({ ownerId }: ZonesHost, { jobId, attempt }: GuestSpec): Ownership {
  return { owner: ownerId, jobId, attempt };
}

function refusal(
  { settings }: ZonesHost,
  { jobId, attempt }: GuestSpec,
  creation: Exclude<Creation, { kind: "done" | "make" }>,
): SolsticeError {
  const name = guestName(jobId);
  if (creation.kind === "outdated") {
    const text = `A guest ${name} of attempt ${creation.attempt} exists; attempt ${attempt} is outdated.`;
    return new SolsticeError("already_exists", text, {
      remedy: "No action is needed: the newer attempt continues.",
    });
  }
  const found = {
    zone: { what: `A zone ${name}`, inspect: `zonecfg -z ${name} export` },
    disk: {
      what: `A dataset ${settings.pool}/disks/${name}`,
      inspect: `zfs get all ${settings.pool}/disks/${name}`,
    },
    "zone-dataset": {
      what: `A dataset ${settings.pool}/zones/${name}`,
      inspect: `zfs list -r ${settings.pool}/zones`,
    },
  }[creation.what];
  return new SolsticeError("already_exists", `${found.what} of another owner exists.`, {
    remedy: `Inspect it with \`${found.inspect}\`; remove or rename it if it is not needed.`,
  });
}
