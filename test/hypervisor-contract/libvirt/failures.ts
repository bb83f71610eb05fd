import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guestName } from "../../../src/core/job/job.ts";
import { runCommand } from "../../../src/host/command.ts";
import type { GuestSpec, Hypervisor } from "../../../src/hypervisor/hypervisor.ts";
import {
  createLibvirtHypervisor,
  type LibvirtHypervisorOptions,
} from "../../../src/hypervisor/libvirt/libvirt.ts";
import type { LibvirtClient } from "../../../src/libvirt/index.ts";
import type { BrokenHost, ContractHarness } from "../contract.ts";
import { openSmallDisk, withoutPrograms } from "../host-trouble.ts";
import { openLibvirtProxy } from "./proxy.ts";

/** Too small for an overlay, in KiB: its header alone takes three pages of 4 KiB. */
const TOO_SMALL_KIB = 8;

/** Functions that cause each failure of a libvirt host for real. */
export function libvirtFailures(
  client: LibvirtClient,
  options: LibvirtHypervisorOptions,
): Required<ContractHarness["failures"]> {
  const open = async (changes: Partial<LibvirtHypervisorOptions>): Promise<Hypervisor> => {
    const hypervisor = createLibvirtHypervisor({ ...options, ...changes });
    await hypervisor.prepare();
    return hypervisor;
  };
  return {
    "the hypervisor is gone": () => cutTheWire(open),
    async "a tool is missing"(spec) {
      const hypervisor = await open({ run: withoutPrograms(runCommand, () => true) });
      return {
        fail: () => hypervisor.create(spec),
        repair: () => hypervisor.close(),
      };
    },
    async "the disk is full"(spec) {
      const disk = await openSmallDisk(TOO_SMALL_KIB);
      const hypervisor = await open({ dataDir: disk.directory, reserveBytes: 0 });
      return {
        fail: () => hypervisor.create(spec),
        async repair() {
          await hypervisor.remove(spec.jobId);
          await hypervisor.close();
          await disk.remove();
        },
      };
    },
    "the network is missing": (spec) => stopTheNetwork({ client, open, spec }),
    async "the image's file is gone"(spec) {
      const hypervisor = await open({});
      return {
        fail: () => hypervisor.create({ ...spec, imagePath: `${spec.imagePath}.gone` }),
        repair: () => hypervisor.close(),
      };
    },
  };
}

type Open = (changes: Partial<LibvirtHypervisorOptions>) => Promise<Hypervisor>;

/** Ends the connection to libvirtd during a call. */
async function cutTheWire(open: Open): Promise<BrokenHost> {
  const directory = await mkdtemp(join(tmpdir(), "si-"));
  const proxy = await openLibvirtProxy(directory);
  const hypervisor = await open({ uri: proxy.uri });
  proxy.cut();
  return {
    fail: () => hypervisor.listInventory(),
    async repair() {
      await hypervisor.close();
      await proxy.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** Stops a network between a guest's create and its start. */
async function stopTheNetwork(scene: {
  client: LibvirtClient;
  open: Open;
  spec: GuestSpec;
}): Promise<BrokenHost> {
  const { client, open, spec } = scene;
  const name = `net-${guestName(spec.jobId).slice(-8)}`;
  const network = await client.defineNetworkXml(`<network><name>${name}</name></network>`);
  const hypervisor = await open({ network: name });
  await hypervisor.create(spec);
  await client.destroyNetwork(network);
  return {
    fail: () => hypervisor.start(spec.jobId),
    async repair() {
      await hypervisor.remove(spec.jobId);
      await hypervisor.close();
      await client.undefineNetwork(network);
    },
  };
}
