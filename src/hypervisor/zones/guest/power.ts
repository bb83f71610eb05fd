import { lstat } from "node:fs/promises";
import { SolsticeError } from "../../../core/errors.ts";
import { guestName } from "../../../core/job/job.ts";
import type { GuestPower } from "../../hypervisor.ts";
import { execute, executeOrThrow, executeWhenFree, slowSeconds } from "../commands.ts";
import { isWrongState, toHostError } from "../errors.ts";
import { diskDataset, guestPaths, zoneDataset } from "../guest-paths.ts";
import type { ZonesHost } from "../host.ts";
import { readCard } from "../network/guest-network.ts";
import { ensureVnic } from "../network/links.ts";
import { type ConfiguredZone, ownershipProperties } from "../ownership.ts";
import { findDataset } from "../pool/datasets.ts";
import { powerOf } from "../zone/zone-list.ts";
import { findZone, isGuestZone } from "../zone/zones-of-host.ts";
import { markProperties } from "./observe.ts";

/** Quota of a zone's own directory, for bhyve's logs and UEFI variables. */
const zoneQuota = "256M";

/**
 * Time limit of a guest's shutdown, in seconds, after which zoneadm is stopped. The lifecycle powers the guest off long
 * before; zoneadm itself would wait without end.
 */
const shutdownSeconds = 300;

/** Returns the guest's power state; `stopped` also when only its directory or its disk is left. */
export async function readPower(host: ZonesHost, jobId: string): Promise<GuestPower> {
  const zone = await findOwnZone(host, jobId);
  if (zone !== null) {
    const power = powerOf(zone.state);
    // The last output may still be on its way to the file.
    if (power === "stopped") await host.consoles.drained(jobId);
    return power;
  }
  return (await isLeftOver(host, jobId)) ? "stopped" : "absent";
}

/** Powers the guest on. Idempotent. Creates its link again when a restart of the host removed it. */
export async function startGuest(host: ZonesHost, jobId: string): Promise<void> {
  const name = guestName(jobId);
  const zone = await findOwnZone(host, jobId);
  if (zone === null) throw cannotStart(name, "There is no guest");
  if (powerOf(zone.state) === "running") {
    keepConsole(host, jobId, { zone, mayHaveMissed: true });
    host.watch.add(jobId);
    return;
  }
  const card = await readCard(host, jobId);
  if (card === null || zone.state === "configured" || zone.state === "incomplete") {
    throw cannotStart(name, "There is no complete guest");
  }
  await ensureVnic(host, host.settings.link, card);
  await executeOrThrow(host, "zfs", ["set", `quota=${zoneQuota}`, zoneDataset(host.settings.pool, jobId)]);
  await host.consoles.stop(jobId);
  // Before the boot, because bhyve waits for the console's reader.
  keepConsole(host, jobId, { zone, mayHaveMissed: false });
  try {
    await boot(host, name);
  } catch (error) {
    await host.consoles.stop(jobId);
    throw error;
  }
  host.watch.add(jobId);
}

async function boot(host: ZonesHost, name: string): Promise<void> {
  const args = ["-z", name, "boot"];
  const result = await executeWhenFree(host, "zoneadm", args, { deadlineSeconds: slowSeconds });
  if (result.exitCode !== 0) throw toHostError({ program: "zoneadm", args, ...result });
}

function keepConsole(
  host: ZonesHost,
  jobId: string,
  { zone, mayHaveMissed }: { zone: ConfiguredZone; mayHaveMissed: boolean },
): void {
  const file = guestPaths(host.guestsDir, jobId).console;
  host.consoles.keep({ jobId, zonePath: zone.path, file, mayHaveMissed });
}

/**
 * Requests the shutdown of a running guest, and returns at once: zoneadm waits for the guest, so it continues in the
 * background. Its result is only logged, because the guest's power state is what counts.
 */
export async function shutdownGuest(host: ZonesHost, jobId: string): Promise<void> {
  const zone = await findOwnZone(host, jobId);
  if (zone?.state !== "running" || host.shutdowns.has(jobId)) return;
  const stopping = new AbortController();
  host.shutdowns.set(jobId, stopping);
  void shutDown(host, guestName(jobId), stopping.signal)
    .catch((error: unknown) => {
      if (!stopping.signal.aborted)
        host.log.warn({ guest: guestName(jobId), err: error }, "the guest did not shut down");
    })
    .finally(() => {
      if (host.shutdowns.get(jobId) === stopping) host.shutdowns.delete(jobId);
      host.watch.wake();
    });
}

async function shutDown(host: ZonesHost, name: string, signal: AbortSignal): Promise<void> {
  const args = ["-z", name, "shutdown"];
  const result = await execute(host, "zoneadm", args, { deadlineSeconds: shutdownSeconds, signal });
  if (result.exitCode !== 0 && !isWrongState(result))
    throw toHostError({ program: "zoneadm", args, ...result });
}

/** Returns the zone of our guest; null when it is missing or foreign. */
export async function findOwnZone(host: ZonesHost, jobId: string): Promise<ConfiguredZone | null> {
  const zone = await findZone(host, jobId);
  return zone !== null && isGuestZone(zone, host.ownerId, jobId) ? zone : null;
}

async function isLeftOver(host: ZonesHost, jobId: string): Promise<boolean> {
  const { directory } = guestPaths(host.guestsDir, jobId);
  const isThere = await lstat(directory).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  if (isThere) return true;
  const disk = await findDataset(host, diskDataset(host.settings.pool, jobId), markProperties);
  return disk?.properties.get(ownershipProperties.owner) === host.ownerId;
}

function cannotStart(name: string, what: string): SolsticeError {
  return new SolsticeError("hypervisor_failed", `${what} ${name} to start.`, {
    remedy: "The next attempt creates it again.",
  });
}
