import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { guestName } from "../../src/core/job.ts";
import { writeSeed } from "../../src/guest/seed-image.ts";
import { type RunCommand, runCommand } from "../../src/host/command.ts";
import { guestsDirectory, readGuestDirectories } from "../../src/hypervisor/guest-directories.ts";
import type { GuestSpec, Hypervisor } from "../../src/hypervisor/hypervisor.ts";
import { guestPaths } from "../../src/hypervisor/zones/guest-paths.ts";
import { readSlot } from "../../src/hypervisor/zones/read-slot.ts";
import { slotOfVnic } from "../../src/hypervisor/zones/slots.ts";
import { parseZoneList } from "../../src/hypervisor/zones/zone-list.ts";
import { createZonesHypervisor } from "../../src/hypervisor/zones/zones.ts";
import type { ContractHarness, Foreign } from "./contract.ts";
import { randomJobId } from "./contract.ts";
import { withoutPrograms } from "./host-trouble.ts";
import { silentLog, testSpec } from "./libvirt-harness.ts";
import type { ZonesPlace } from "./zones-failures.ts";
import { zonesSteps } from "./zones-steps.ts";

/** What the tests' image is imported under: one import for all guests. */
const imageDigest = "ab".repeat(32);

/** Links of the suite's own, which are made and removed. */
const link = "solcontract0";
const vnic = "solcontracthost0";
const gateway = "10.99.77.1";

/** Where illumos has the commands that the backend runs, but for `dd`; those that make seeds are elsewhere. */
const systemPrograms = "/usr/sbin";

/** What {@link createZonesByCommands} works with. */
export interface ZonesByCommands {
  /** A dataset of the suite's own, which does not exist and whose parent does. */
  readonly pool: string;
  /** The tiny guest, a raw image: an absolute path. */
  readonly image: string;
  /** Runs the backend's commands; those of the suite itself are run beside it. */
  readonly run: RunCommand;
  /** Where the commands are; default where illumos has them. */
  readonly programs?: string;
  /** Kills all that runs in a zone; default `pkill -z`. */
  readonly crash?: (zone: string) => Promise<void>;
  /** Ends what makes up the host, after all. */
  readonly closeHost?: () => Promise<void>;
}

/** What needs a host that was made for it, and so is tried on the stand-in only, by zones.test.ts. */
export const zonesByCommandsCannot = {
  "the disk is full":
    "the pool of a real host is not filled up for a test; on the stand-in zones.test.ts does it",
} as const;

/**
 * The zones backend on whatever host the commands of illumos are found by PATH: a real one, or the stand-in. All that the suite
 * itself does and looks at is done by the same commands.
 */
export async function createZonesByCommands(options: ZonesByCommands): Promise<ContractHarness> {
  const { pool, run, programs = systemPrograms } = options;
  // A short path: sockets below it have a bounded one.
  const dataDir = await mkdtemp("/tmp/sz-");
  const place = placeOf({ dataDir, pool, first: 2 });
  const neighbour = placeOf({ dataDir: join(dataDir, "n"), pool: `${pool}-n`, first: 100 });
  const guestsDir = guestsDirectory(dataDir);
  const open = () => openZones(place, run);
  return {
    open,
    openNeighbour: () => openZones(neighbour, run),
    spec: (guest) => ({
      ...testSpec({ ...guest, imagePath: options.image }),
      imageFormat: "raw",
      imageDigest,
    }),
    crashPoints: crashPoints(place, run),
    guestsDir,
    plantForeign,
    crash: (jobId) => (options.crash ?? killZone)(guestName(jobId)),
    failures: failures({ place, run, programs }),
    victim: { module: import.meta.url, hooks: zonesSteps, options: place, isSlow: true },
    whatIsLeft: (jobId) => whatIsLeft(place, guestsDir, jobId),
    async close() {
      await removePlaces([place, neighbour]);
      await options.closeHost?.();
      await rm(dataDir, { recursive: true });
    },
  };
}

/**
 * For a child process.
 * @public
 */
export function openVictim(place: ZonesPlace): Hypervisor {
  return openZones(place, runCommand);
}

function openZones(place: ZonesPlace, run: RunCommand): Hypervisor {
  return createZonesHypervisor({ ...place, run, writeSeed, log: silentLog, imageRetentionSeconds: 0 });
}

function placeOf(options: { dataDir: string; pool: string; first: number }): ZonesPlace {
  const { dataDir, pool, first } = options;
  const address = (last: number) => `10.99.77.${last}`;
  const settings = {
    ...{ pool, link, vnic, gateway },
    subnet: { address: address(0), prefix: 24 },
    addresses: { first: address(first), last: address(first + 90) },
    nameservers: ["192.0.2.53"],
  };
  return { dataDir, ownerId: randomJobId(), settings };
}

/** Dies before a command: what a backend leaves that is killed there. */
function crashPoints(place: ZonesPlace, run: RunCommand): ContractHarness["crashPoints"] {
  const points: readonly (readonly [point: string, program: string, args: RegExp])[] = [
    ["before the disk", "zfs", /^clone /],
    ["before the disk's size", "zfs", /^set volsize/],
    ["before the card", "dladm", /^create-vnic -t/],
    ["before the card is closed", "dladm", /^set-linkprop/],
    ["before the zone", "zonecfg", /create -F/],
    ["before the installation", "zoneadm", / install$/],
  ];
  const crashAt = (program: string, pattern: RegExp) => async (spec: GuestSpec) => {
    let died = false;
    const dying: RunCommand = async (name, args, options) => {
      died ||= name === program && pattern.test(args.join(" "));
      if (died) throw new Error("the process has died");
      return run(name, args, options);
    };
    const hypervisor = openZones(place, dying);
    await hypervisor.create(spec).catch(() => {});
    await hypervisor.close();
    if (!died) throw new Error(`create never came to ${program} ${pattern}`);
  };
  return {
    ...Object.fromEntries(points.map(([point, program, args]) => [point, crashAt(program, args)])),
    "after the directory": async (spec) => {
      await mkdir(guestPaths(guestsDirectory(place.dataDir), spec.jobId).directory);
    },
  };
}

async function plantForeign(jobId: string): Promise<Foreign> {
  const name = guestName(jobId);
  const text = `create -b; set brand=bhyve; set zonepath=/zones-of-somebody/${name}; set ip-type=exclusive`;
  await runCommand("zonecfg", ["-z", name, text]);
  const exported = async () => (await runCommand("zonecfg", ["-z", name, "export"])).stdout;
  const planted = await exported();
  return {
    intact: async () => (await exported()) === planted,
    async remove() {
      await runCommand("zonecfg", ["-z", name, "delete", "-F"]);
    },
  };
}

async function killZone(zone: string): Promise<void> {
  await runCommand("pkill", ["-KILL", "-z", zone, "."]);
}

function failures(scene: {
  place: ZonesPlace;
  run: RunCommand;
  programs: string;
}): ContractHarness["failures"] {
  const { place, run, programs } = scene;
  const on = async (fail: (hypervisor: Hypervisor) => Promise<unknown>) => {
    const hypervisor = openZones(place, run);
    await hypervisor.prepare();
    return { fail: () => fail(hypervisor), mend: () => hypervisor.close() };
  };
  return {
    "the hypervisor is gone": () => on((hypervisor) => withoutPrograms(() => hypervisor.listTraces())),
    "a tool is missing": (spec) =>
      on((hypervisor) => withoutPrograms(() => hypervisor.create(spec), [programs])),
    "the network is missing": (spec) => loseTheNetwork(place, run, spec),
    "the image's file is gone": (spec) =>
      on((hypervisor) =>
        hypervisor.create({ ...spec, imageDigest: null, imagePath: `${spec.imagePath}.gone` }),
      ),
  };
}

/** The link that guests' cards are over goes, and the cards with it, between a guest's create and its start. */
async function loseTheNetwork(place: ZonesPlace, run: RunCommand, spec: GuestSpec) {
  const other = { link: "solcontract1", vnic: "solcontracthost1", gateway: "10.99.78.1" };
  const subnet = { address: "10.99.78.0", prefix: 24 };
  const addresses = { first: "10.99.78.2", last: "10.99.78.9" };
  const settings = { ...place.settings, ...other, subnet, addresses };
  const hypervisor = openZones({ ...place, settings }, run);
  await hypervisor.prepare();
  await hypervisor.create(spec);
  await removeNetwork(other);
  return {
    fail: () => hypervisor.start(spec.jobId),
    async mend() {
      await hypervisor.remove(spec.jobId);
      await hypervisor.close();
    },
  };
}

async function whatIsLeft(place: ZonesPlace, guestsDir: string, jobId: string): Promise<string[]> {
  const name = guestName(jobId);
  const { directory } = guestPaths(guestsDir, jobId);
  const zones = parseZoneList((await runCommand("zoneadm", ["list", "-cp"])).stdout);
  const datasets = await lines("zfs", ["list", "-H", "-o", "name", "-r", place.settings.pool]);
  return [
    ...zones.filter((zone) => zone.name === name).map(({ state }) => `a zone (${state})`),
    ...datasets.filter((dataset) => dataset.includes(name)),
    ...(existsSync(directory) ? [directory] : []),
    ...(await linksOfNobody(place, guestsDir)),
  ];
}

/** A link does not say whose it is, but each of ours belongs to a slot that a directory has. */
async function linksOfNobody({ ownerId }: ZonesPlace, guestsDir: string): Promise<string[]> {
  const directories = await readGuestDirectories(guestsDir);
  const slots = await Promise.all(directories.map(({ path }) => readSlot(join(path, "slot"))));
  const links = await lines("dladm", ["show-vnic", "-p", "-o", "link"]);
  return links.filter((name) => {
    const slot = slotOfVnic(ownerId, name);
    return slot !== null && !slots.includes(slot);
  });
}

async function removePlaces(places: readonly ZonesPlace[]): Promise<void> {
  for (const { settings } of places) {
    await runCommand("zfs", ["destroy", "-r", settings.pool], { acceptExitCodes: [0, 1] });
  }
  await removeNetwork({ link, vnic });
}

/** Removes a link with all that is over it. What is not there is left out. */
async function removeNetwork(network: { link: string; vnic: string }): Promise<void> {
  const accept = { acceptExitCodes: [0, 1] };
  await runCommand("ipadm", ["delete-addr", `${network.vnic}/v4`], accept);
  await runCommand("ipadm", ["delete-if", network.vnic], accept);
  const cards = await lines("dladm", ["show-vnic", "-p", "-o", "link,over"]);
  for (const card of cards.map((line) => line.split(":"))) {
    if (card[1] === network.link) await runCommand("dladm", ["delete-vnic", card[0] ?? ""], accept);
  }
  await runCommand("dladm", ["delete-etherstub", network.link], accept);
}

async function lines(program: string, args: readonly string[]): Promise<string[]> {
  const { stdout } = await runCommand(program, args);
  return stdout.split("\n").filter((line) => line !== "");
}
