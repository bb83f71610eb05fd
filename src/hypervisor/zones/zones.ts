import { existsSync } from "node:fs";
import { chmod } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import pLimit from "p-limit";
import type { ZonesConfig } from "../../config/zones-config.ts";
import { SolsticeError } from "../../core/errors.ts";
import { jobIdOfGuest } from "../../core/job/job.ts";
import type { Log } from "../../core/log.ts";
import { type RunCommand, runCommand } from "../../host/command.ts";
import { makeDirectory, passableMode } from "../../host/files/make-directory.ts";
import { readPart } from "../../host/files/read-part.ts";
import { guestsDirectory } from "../guest-directories.ts";
import type { Hypervisor, WriteSeed } from "../hypervisor.ts";
import { createConsoleKeeper } from "./console/console-keeper.ts";
import { createGuest } from "./guest/create-guest.ts";
import { listInventory } from "./guest/list-inventory.ts";
import { readPower, shutdownGuest, startGuest } from "./guest/power.ts";
import { haltGuest, removeGuest } from "./guest/remove-guest.ts";
import { openShell } from "./guest/shell.ts";
import { guestPaths } from "./guest-paths.ts";
import type { ZonesHost } from "./host.ts";
import { prepareNetwork, requireHostAddress } from "./network/network.ts";
import { ownershipProperties } from "./ownership.ts";
import { listDatasets } from "./pool/datasets.ts";
import { createImageShelf, type ImageShelfOptions, usedProperty } from "./pool/images.ts";
import { preparePool } from "./pool/pool.ts";
import { sweepImages } from "./pool/sweep-images.ts";
import { bhyvePath } from "./zone/config-text.ts";
import { powerOf } from "./zone/zone-list.ts";
import { createZoneWatch } from "./zone/zone-watch.ts";
import { guestBrand, isGuestZone, listZones, readZone } from "./zone/zones-of-host.ts";

/** Pause between two polls of the host's zones, in ms, while a guest has power. */
const defaultPollMs = 1500;

const defaultLookPauseMs = 1000;

const defaultReserveBytes = 1024 ** 3;

/** Options of {@link createZonesHypervisor}. */
export interface ZonesHypervisorOptions {
  readonly settings: ZonesConfig;
  /** Absolute path; guests' files are in its directory `guests/`. */
  readonly dataDir: string;
  /** The mark of our zones and datasets; another installation on the same host has another id. */
  readonly ownerId: string;
  readonly writeSeed: WriteSeed;
  readonly log: Log;
  /** Retention of an unused image in the pool, in seconds; 0: for ever. */
  readonly imageRetentionSeconds: number;
  /** Bytes that must stay free in the pool when a guest is created; default 1 GiB. */
  readonly reserveBytes?: number;
  /** Runs the host's commands; the default is a process for each. */
  readonly run?: RunCommand;
  /** Directory of the bhyve brand; null to skip its check. */
  readonly brandDirectory?: string | null;
  readonly pollMs?: number;
  /** Pause between two observations of a guest that is being removed, in ms; default 1 s. */
  readonly observePauseMs?: number;
}

/**
 * Creates the backend for guests as bhyve zones of this illumos host, on ZFS clones. Runs no command before it is
 * needed.
 */
export function createZonesHypervisor(options: ZonesHypervisorOptions): Hypervisor {
  const shells = new Map<string, Socket>();
  const reported = { ensureFirewall: false };
  const host = openHost(options);
  return {
    backend: "zones",
    async connect() {
      // Checks that zones can be listed; nothing stays open.
      await listZones(host);
    },
    prepare: () => prepare(host, options),
    runnerHost: () => requireHostAddress(host, host.settings.vnic),
    async ensureFirewall() {
      if (reported.ensureFirewall) return;
      reported.ensureFirewall = true;
      host.log.warn(
        { link: host.settings.link },
        "no firewall around guests in zones: each can use only its own address, but reach every port of this host and whatever the host routes to",
      );
    },
    async removeFirewall() {},
    create: (spec) => createGuest(host, spec),
    start: (jobId) => startGuest(host, jobId),
    power: (jobId) => readPower(host, jobId),
    requestShutdown: (jobId) => shutdownGuest(host, jobId),
    async destroy(jobId) {
      await haltGuest(host, jobId);
      host.watch.wake();
    },
    remove: (jobId) => removeGuest(host, jobId),
    listInventory: () => listInventory(host),
    readConsole: (jobId, offset, maxBytes) =>
      readPart(guestPaths(host.guestsDir, jobId).console, offset, maxBytes),
    openShell: (jobId) => openShell(host, shells, jobId),
    onChange: (listener) => host.watch.onChange(listener),
    async close() {
      host.watch.close();
      for (const shutdown of host.shutdowns.values()) shutdown.abort();
      for (const socket of shells.values()) socket.destroy();
      await host.consoles.close();
    },
  };
}

function openHost(options: ZonesHypervisorOptions): ZonesHost {
  const { settings, ownerId, writeSeed, log, dataDir, run = runCommand } = options;
  const consoles = createConsoleKeeper({
    onEnd: () => host.watch.wake(),
    onRestart(jobId) {
      // The guest's token is used: it could not run the job again.
      log.info({ jobId }, "guest restarted itself: ending it");
      haltGuest(host, jobId).catch((error: unknown) =>
        log.warn({ jobId, err: error }, "ending a guest failed"),
      );
    },
  });
  const host: ZonesHost = {
    ...{ run, log, ownerId, settings, writeSeed, consoles },
    guestsDir: guestsDirectory(dataDir),
    reserveBytes: options.reserveBytes ?? defaultReserveBytes,
    images: createImageShelf({
      ...shelfOptions(options),
      afterImport: () => void sweep(host, options).catch(() => {}),
    }),
    watch: createZoneWatch({
      list: () => listZones(host),
      onStopped: (jobId) => consoles.finish(jobId),
      pollMs: options.pollMs ?? defaultPollMs,
    }),
    observePauseMs: options.observePauseMs ?? defaultLookPauseMs,
    slotTurn: pLimit(1),
    shutdowns: new Map(),
  };
  return host;
}

function shelfOptions({
  settings,
  ownerId,
  log,
  dataDir,
  run = runCommand,
}: ZonesHypervisorOptions): ImageShelfOptions {
  return {
    run,
    log,
    ownerId,
    pool: settings.pool,
    importsDir: join(dataDir, "zone-imports"),
    afterImport: () => {},
  };
}

async function prepare(host: ZonesHost, options: ZonesHypervisorOptions): Promise<void> {
  await refuseUnfitHost(host, options);
  makeDirectory(host.guestsDir, passableMode);
  await chmod(host.guestsDir, passableMode);
  await preparePool(host, { pool: host.settings.pool, ownerId: host.ownerId });
  await prepareNetwork(host, host.settings);
  await takeUpGuests(host);
  await sweep(host, options);
}

/** Throws for reasons that a start of the orchestrator cannot repair. */
async function refuseUnfitHost(host: ZonesHost, options: ZonesHypervisorOptions): Promise<void> {
  const { dataDir, brandDirectory = null } = options;
  await listZones(host);
  if (process.getuid?.() !== 0) {
    throw new SolsticeError("hypervisor_unavailable", "Only root may create zones.", {
      remedy: "Run the orchestrator as root in the global zone.",
    });
  }
  if (brandDirectory !== null && !existsSync(brandDirectory)) {
    throw new SolsticeError(
      "host_missing_tool",
      `The bhyve brand is not installed: ${brandDirectory} is missing.`,
      {
        remedy: "pkg install brand/bhyve",
      },
    );
  }
  // The data directory's path is part of every guest's seed attribute.
  bhyvePath(dataDir);
}

/** Takes over guests that ran on without an orchestrator: reads their consoles and watches them again. */
async function takeUpGuests(host: ZonesHost): Promise<void> {
  for (const listed of await listZones(host)) {
    const jobId = jobIdOfGuest(listed.name);
    if (jobId === null || listed.brand !== guestBrand || powerOf(listed.state) !== "running") continue;
    const zone = await readZone(host, listed);
    if (zone === null || !isGuestZone(zone, host.ownerId, jobId)) continue;
    const file = guestPaths(host.guestsDir, jobId).console;
    host.consoles.keep({ jobId, zonePath: zone.path, file, mayHaveMissed: true });
    host.watch.add(jobId);
  }
}

async function sweep(host: ZonesHost, options: ZonesHypervisorOptions): Promise<void> {
  const shelf = { ...shelfOptions(options), keepMs: options.imageRetentionSeconds * 1000 };
  const properties = [ownershipProperties.owner, usedProperty];
  const where = ["-r", "-d", "1", "-t", "volume", `${host.settings.pool}/images`];
  await sweepImages(shelf, host.images.inUse(), await listDatasets(host, properties, where));
}
