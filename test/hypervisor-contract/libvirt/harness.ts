import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guestName } from "../../../src/core/job/job.ts";
import { silentLog } from "../../../src/core/log.ts";
import { networkConfigVersion2 } from "../../../src/guest/seed/static-network.ts";
import { runCommand } from "../../../src/host/command.ts";
import { guestsDirectory } from "../../../src/hypervisor/guest-directories.ts";
import type { GuestSpec, Hypervisor, Seed } from "../../../src/hypervisor/hypervisor.ts";
import { buildDomainXml } from "../../../src/hypervisor/libvirt/guest/domain-xml.ts";
import { guestPaths } from "../../../src/hypervisor/libvirt/guest/guest-paths.ts";
import type { LibvirtHypervisorOptions } from "../../../src/hypervisor/libvirt/libvirt.ts";
import { createLibvirtHypervisor } from "../../../src/hypervisor/libvirt/libvirt.ts";
import type { LibvirtClient } from "../../../src/libvirt/index.ts";
import { createLibvirtClient } from "../../../src/libvirt/index.ts";
import { PacketDecoder, PacketType, REMOTE_PROGRAM } from "../../../src/libvirt/wire/packet.ts";
import { procedures } from "../../../src/libvirt/wire/procedures.ts";
import type { Behaviour, ContractHarness, Foreign } from "../contract.ts";
import { randomJobId } from "../contract.ts";
import { cutProgram, filesIn } from "../host-trouble.ts";
import { libvirtFailures } from "./failures.ts";

export const SYSTEM_URI = "qemu:///system";
const IMAGE_BUILD_SECONDS = 1800;

/** Number of killed processes in `npm test`; each takes some seconds. */
const SAMPLED_KILLS = 2;

/** The reason why the system's libvirt cannot be used here, for the `skip` option of a test; otherwise false. */
export async function missingSystemLibvirt(): Promise<string | false> {
  try {
    (await createLibvirtClient({ uri: SYSTEM_URI })).close();
    return false;
  } catch (error) {
    return `libvirt does not answer at ${SYSTEM_URI} (scripts/setup-host.sh starts it): ${error}`;
  }
}

/** The tiny guest of images/, built when it does not exist yet. */
export async function tinyImage(): Promise<string> {
  const build = join(import.meta.dirname, "../../../images/build.sh");
  const { stdout } = await runCommand("sh", [build, "tiny"], { deadlineSeconds: IMAGE_BUILD_SECONDS });
  return stdout.trim();
}

/** A directory that QEMU's user can enter. */
export async function openTemporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "solstice-hypervisor-"));
  await chmod(directory, 0o711);
  return directory;
}

/** Writes an ISO seed with the tool that the product uses, and with the product's text for the network only. */
export async function writeTestSeed(path: string, seed: Seed): Promise<void> {
  const directory = `${path}.d`;
  await mkdir(directory);
  await writeFile(join(directory, "meta-data"), seed.metaData);
  await writeFile(join(directory, "user-data"), seed.userData);
  if (seed.network !== undefined)
    await writeFile(join(directory, "network-config"), networkConfigVersion2(seed.network));
  await runCommand("genisoimage", ["-quiet", "-V", "cidata", "-J", "-r", "-o", path, directory]);
  await rm(directory, { recursive: true });
}

/** The spec of a guest of the system's libvirt, for a test that changes some of its fields. */
export function testSpec(guest: {
  jobId: string;
  attempt: number;
  behaviour: Behaviour;
  imagePath: string;
}): GuestSpec {
  const { jobId, attempt, behaviour, imagePath } = guest;
  return {
    jobId,
    attempt,
    imagePath,
    imageFormat: "qcow2",
    imageDigest: null,
    size: { cpu: 1, ramMb: 192, diskGb: 1 },
    seedFormat: "iso",
    diskBus: "virtio",
    nicModel: "virtio",
    firmware: "bios",
    egress: "open",
    seed: tinySeed(jobId, bootScripts[behaviour]),
    files: [],
    runner: { url: "http://127.0.0.1:9", bootstrapToken: "unused" },
    formerHosts: [],
    hasShell: true,
  };
}

const sayUp = 'echo "guest is up" >/dev/console\n';
const bootScripts: Record<Behaviour, string> = {
  obedient: `stty raw -echo <>/dev/ttyS1; cat <>/dev/ttyS1 1>&0 &\n${sayUp}`,
  deaf: `printf '#!/bin/sh\\necho "power button ignored" >/dev/console\\n' >/etc/acpi/PWRF/00000080\n${sayUp}`,
  brief: `${sayUp}poweroff -f\n`,
};

/** A seed of the tiny guest that runs a script after its boot. */
export function tinySeed(jobId: string, bootScript: string): Seed {
  const content = Buffer.from(bootScript).toString("base64");
  return {
    metaData: `instance-id: ${jobId}\nlocal-hostname: ${guestName(jobId)}\n`,
    userData: `#cloud-config
write_files:
  - path: /run/solstice/boot.sh
    permissions: "0700"
    encoding: b64
    content: ${content}
bootcmd:
  - [sh, /run/solstice/boot.sh]
`,
  };
}

/** The libvirt backend on the system's libvirtd, under software emulation, with real boots of the tiny guest. */
export async function createLibvirtHarness(): Promise<ContractHarness> {
  const imagePath = await tinyImage();
  const dataDir = await openTemporaryDirectory();
  const client = await createLibvirtClient({ uri: SYSTEM_URI });
  const options = libvirtOptions({ dataDir, ownerId: randomJobId() });
  const neighbour = libvirtOptions({ dataDir: join(dataDir, "neighbour"), ownerId: randomJobId() });
  const guestsDir = guestsDirectory(dataDir);
  return {
    open: () => createLibvirtHypervisor(options),
    openNeighbour: () => createLibvirtHypervisor(neighbour),
    spec: (guest) => testSpec({ ...guest, imagePath }),
    guestsDir,
    plantForeign: (jobId) => plantForeign(client, jobId),
    async crash(jobId) {
      const pid = await readFile(`/run/libvirt/qemu/${guestName(jobId)}.pid`, "utf8");
      process.kill(Number(pid), "SIGKILL");
    },
    failures: libvirtFailures(client, options),
    victim: {
      module: import.meta.url,
      options: { dataDir, ownerId: options.ownerId },
      sampled: SAMPLED_KILLS,
      model: {
        part: "creation",
        run: runCommand,
        open: (run) => createLibvirtHypervisor({ ...options, run }),
        onlyLooks,
        cut: cutProgram,
      },
    },
    whatIsLeft: (jobId) => whatIsLeft(client, guestsDir, jobId),
    async close() {
      client.close();
      await rm(dataDir, { recursive: true });
    },
  };
}

/**
 * Opens the backend in a process that is killed.
 * @public
 */
export function openVictim(options: { dataDir: string; ownerId: string }): Hypervisor {
  return createLibvirtHypervisor(libvirtOptions(options));
}

/**
 * True when a program changes nothing on the host, and so is not a step.
 * @public
 */
export function onlyLooks(program: string, args: readonly string[]): boolean {
  return program === "qemu-img" && args[0] === "info";
}

/** The libvirt calls that change something; read-only calls are not steps. */
const changingCalls = new Map<number, string>(
  [
    procedures.domainDefineXmlFlags,
    procedures.domainCreateWithFlags,
    procedures.domainShutdownFlags,
    procedures.domainDestroyFlags,
    procedures.domainUndefineFlags,
  ].map(({ number, name }) => [number, name]),
);

/**
 * Names a call to libvirtd that changes something.
 * @public
 */
export function nameMessage(bytes: Uint8Array): string | null {
  const [packet] = new PacketDecoder().push(bytes);
  if (packet?.header.program !== REMOTE_PROGRAM || packet.header.type !== PacketType.call) return null;
  return changingCalls.get(packet.header.procedure) ?? null;
}

/** Options of a backend on the system's libvirtd. */
export function libvirtOptions(place: { dataDir: string; ownerId: string }): LibvirtHypervisorOptions {
  return {
    ...place,
    uri: SYSTEM_URI,
    network: "default",
    virtType: "qemu",
    writeSeed: writeTestSeed,
    log: silentLog,
    firewall: null,
  };
}

async function plantForeign(client: LibvirtClient, jobId: string): Promise<Foreign> {
  const xml = buildDomainXml({
    ...testSpec({ jobId, attempt: 1, behaviour: "brief", imagePath: "/nonexistent" }),
    ownerId: "someone-else",
    network: "default",
    virtType: "qemu",
    paths: guestPaths("/nonexistent", jobId),
    macAddress: null,
    tapName: null,
  });
  const domain = await client.defineDomainXml(xml);
  return {
    intact: async () => (await client.lookupDomainByName(domain.name)).uuid === domain.uuid,
    remove: () => client.undefineDomain(domain),
  };
}

async function whatIsLeft(client: LibvirtClient, guestsDir: string, jobId: string): Promise<string[]> {
  const name = guestName(jobId);
  const domains = (await client.listAllDomains()).filter((domain) => domain.name === name);
  const files = [guestPaths(guestsDir, jobId).directory, `/var/log/libvirt/qemu/${name}.log`];
  const { directory } = guestPaths(guestsDir, jobId);
  return [
    ...domains.map(() => "domain"),
    ...files.filter((file) => existsSync(file)),
    ...filesIn(directory, ["console.log"]),
  ];
}
