import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { guestName } from "../../src/core/job.ts";
import { runCommand } from "../../src/host/command.ts";
import { guestsDirectory, readGuestDirectories } from "../../src/hypervisor/guest-directories.ts";
import type { GuestSpec, Hypervisor } from "../../src/hypervisor/hypervisor.ts";
import { guestPaths } from "../../src/hypervisor/zones/guest-paths.ts";
import { readSlot } from "../../src/hypervisor/zones/read-slot.ts";
import { slotOfVnic } from "../../src/hypervisor/zones/slots.ts";
import { createZonesHypervisor } from "../../src/hypervisor/zones/zones.ts";
import { openStandIn, type StandIn } from "../illumos/stand-in.ts";
import type { ContractHarness, Foreign } from "./contract.ts";
import { randomJobId } from "./contract.ts";
import { silentLog, testSpec, tinyImage, writeTestSeed } from "./libvirt-harness.ts";
import { type ZonesPlace, type ZonesScene, zonesFailures } from "./zones-failures.ts";
import { zonesSteps } from "./zones-steps.ts";

/** What the tests' image is imported under: one import for all guests. */
const imageDigest = "ab".repeat(32);

/** Quicker than on a real host: the tests wait for what the watch sees. */
const pollMs = 300;

/** The zones backend on the stand-in for an illumos host, with real boots of the tiny guest. */
export async function createZonesHarness(): Promise<ContractHarness> {
  const imagePath = await tinyImage();
  const standIn = await openStandIn();
  Object.assign(process.env, standIn.environment);
  // A short path: sockets below it have a bounded one.
  const directory = await mkdtemp("/tmp/sz-");
  const place = zonesPlace({ dataDir: directory, pool: "rpool/solstice", first: "10.88.0.2" });
  const neighbour = zonesPlace({
    dataDir: join(directory, "n"),
    pool: "rpool/neighbour",
    first: "10.88.0.100",
  });
  const guestsDir = guestsDirectory(directory);
  const scene: ZonesScene = { standIn, place, open: (changes = {}) => openZones({ ...place, ...changes }) };
  return {
    open: () => openZones(place),
    openNeighbour: () => openZones(neighbour),
    spec: (guest) => ({ ...testSpec({ ...guest, imagePath }), imageDigest }),
    crashPoints: crashPoints(scene),
    guestsDir,
    plantForeign: (jobId) => plantForeign(standIn, jobId),
    async crash(jobId) {
      const pid = standIn.guestPid(guestName(jobId));
      if (pid !== null) process.kill(pid, "SIGKILL");
    },
    failures: zonesFailures(scene),
    victim: { module: import.meta.url, hooks: zonesSteps, options: place, isSlow: true },
    whatIsLeft: (jobId) => whatIsLeft(scene, guestsDir, jobId),
    async close() {
      await standIn.close();
      await rm(directory, { recursive: true });
    },
  };
}

/**
 * For a process that is killed, with the environment of the stand-in.
 * @public
 */
export function openVictim(place: ZonesPlace): Hypervisor {
  return openZones(place);
}

function openZones(place: ZonesPlace): Hypervisor {
  const fixed = { writeSeed: writeTestSeed, log: silentLog, imageRetentionSeconds: 0, pollMs };
  return createZonesHypervisor({ ...place, ...fixed });
}

/** Where an installation of its own is, on the stand-in. */
export function zonesPlace(options: { dataDir: string; pool: string; first: string }): ZonesPlace {
  const { dataDir, pool, first } = options;
  const settings = {
    pool,
    link: "solstice_stub0",
    vnic: "solstice0",
    subnet: { address: "10.88.0.0", prefix: 24 },
    gateway: "10.88.0.1",
    addresses: { first, last: first.replace(/\d+$/, (end) => String(Number(end) + 90)) },
    nameservers: ["192.0.2.53"],
  };
  return { dataDir, ownerId: randomJobId(), settings };
}

/** Create does not tidy up after a command that failed, so that what one that was killed leaves is what a crash leaves. */
function crashPoints({ standIn, place, open }: ZonesScene): ContractHarness["crashPoints"] {
  const points: [name: string, command: string, args: RegExp, when: "before" | "halfway" | "after"][] = [
    ["before the disk", "zfs", /^clone /, "before"],
    ["before the disk's size", "zfs", /^set volsize/, "before"],
    ["before the card", "dladm", /^create-vnic -t/, "before"],
    ["before the card is closed", "dladm", /^set-linkprop/, "before"],
    ["before the zone", "zonecfg", /create -F/, "before"],
    ["before the installation", "zoneadm", / install$/, "before"],
    ["in the middle of the installation", "zoneadm", / install$/, "halfway"],
    ["after the installation", "zoneadm", / install$/, "after"],
  ];
  const ofCommands = points.map(([point, command, args, when]) => [
    point,
    async (spec: GuestSpec) => {
      const hypervisor = open();
      const fault = standIn.fault({ command, arguments: args }, { kind: "die", when });
      const outcome = await hypervisor.create(spec).catch((error: unknown) => error);
      fault.release();
      await hypervisor.close();
      // Its size was right already, or the point is gone: then the fault would hit somebody else.
      if (outcome === undefined)
        throw new Error(`create succeeded, though it should have been killed ${point}`);
    },
  ]);
  const directory = async (spec: GuestSpec) => {
    await mkdir(guestPaths(guestsDirectory(place.dataDir), spec.jobId).directory);
  };
  return Object.fromEntries([...ofCommands, ["after the directory", directory]]);
}

async function plantForeign(standIn: StandIn, jobId: string): Promise<Foreign> {
  const name = guestName(jobId);
  const text = `create -b; set brand=bhyve; set zonepath=/rpool/of-somebody/${name}; set ip-type=exclusive`;
  await runCommand("zonecfg", ["-z", name, text]);
  const found = () => standIn.zones().find((zone) => zone.name === name);
  const planted = JSON.stringify(found());
  return {
    intact: async () => planted !== undefined && JSON.stringify(found()) === planted,
    async remove() {
      await runCommand("zonecfg", ["-z", name, "delete", "-F"]);
    },
  };
}

async function whatIsLeft(
  { standIn, place }: ZonesScene,
  guestsDir: string,
  jobId: string,
): Promise<string[]> {
  const name = guestName(jobId);
  const { directory } = guestPaths(guestsDir, jobId);
  return [
    ...standIn
      .zones()
      .filter((zone) => zone.name === name)
      .map(() => "zone"),
    ...standIn.datasets().flatMap((dataset) => (dataset.name.includes(name) ? [dataset.name] : [])),
    ...(existsSync(directory) ? [directory] : []),
    ...(await linksOfNobody(standIn, place, guestsDir)),
  ];
}

/** A link does not say whose it is, but each of ours belongs to a slot that a directory has. */
async function linksOfNobody(
  standIn: StandIn,
  { ownerId }: ZonesPlace,
  guestsDir: string,
): Promise<string[]> {
  const directories = await readGuestDirectories(guestsDir);
  const slots = await Promise.all(directories.map(({ path }) => readSlot(join(path, "slot"))));
  return standIn.links().flatMap(({ name }) => {
    const slot = slotOfVnic(ownerId, name);
    return slot === null || slots.includes(slot) ? [] : [name];
  });
}
