import type { ZonesConfig } from "../../src/config/zones-config.ts";
import { runCommand } from "../../src/host/command.ts";
import type { GuestSpec, Hypervisor } from "../../src/hypervisor/hypervisor.ts";
import type { StandIn } from "../illumos/stand-in.ts";
import type { BrokenHost, ContractHarness } from "./contract.ts";
import { withoutPrograms } from "./host-trouble.ts";

/** What a backend on the stand-in is made of; plain data, so that a child process can make it as well. */
export interface ZonesPlace {
  readonly dataDir: string;
  readonly ownerId: string;
  readonly settings: ZonesConfig;
}

/** A stand-in, and how a backend is opened on it. */
export interface ZonesScene {
  readonly standIn: StandIn;
  readonly place: ZonesPlace;
  open(changes?: Partial<ZonesPlace>): Hypervisor;
}

/** A pool that has no room for a further guest's disk, and the size that it has otherwise, in bytes. */
const fullPoolBytes = 1024;
const poolBytes = 64 * 1024 ** 3;

/** Each failure of an illumos host, brought about on the stand-in. */
export function zonesFailures(scene: ZonesScene): Required<ContractHarness["failures"]> {
  const { standIn } = scene;
  const withOpen = async (
    fail: (hypervisor: Hypervisor) => Promise<unknown>,
    mend: () => void = () => {},
  ): Promise<BrokenHost> => {
    const hypervisor = scene.open();
    await hypervisor.prepare();
    return {
      fail: () => fail(hypervisor),
      async mend() {
        mend();
        await hypervisor.close();
      },
    };
  };
  const standInPrograms = standIn.environment.PATH.split(":").slice(0, 1);
  return {
    "the hypervisor is gone": () => withOpen((hypervisor) => withoutPrograms(() => hypervisor.listTraces())),
    "a tool is missing": (spec) =>
      withOpen((hypervisor) => withoutPrograms(() => hypervisor.create(spec), standInPrograms)),
    "the disk is full": (spec) =>
      withOpen(
        (hypervisor) => {
          standIn.setPoolBytes(fullPoolBytes);
          return hypervisor.create(spec);
        },
        () => standIn.setPoolBytes(poolBytes),
      ),
    "the network is missing": (spec) => loseTheLink(scene, spec),
    "the image's file is gone": (spec) =>
      withOpen((hypervisor) =>
        hypervisor.create({ ...spec, imageDigest: null, imagePath: `${spec.imagePath}.gone` }),
      ),
  };
}

/** The link that guests' cards are over goes, and the cards with it, between a guest's create and its start. */
async function loseTheLink(scene: ZonesScene, spec: GuestSpec): Promise<BrokenHost> {
  const settings = { ...scene.place.settings, link: "other_stub0", vnic: "othernic0", gateway: "10.89.0.1" };
  const addresses = { first: "10.89.0.2", last: "10.89.0.9" };
  const subnet = { address: "10.89.0.0", prefix: 24 };
  const hypervisor = scene.open({ settings: { ...settings, addresses, subnet } });
  const before = new Set(scene.standIn.links().map(({ name }) => name));
  await hypervisor.prepare();
  await hypervisor.create(spec);
  const made = scene.standIn.links().filter(({ name }) => !before.has(name));
  await runCommand("ipadm", ["delete-addr", `${settings.vnic}/v4`]);
  await runCommand("ipadm", ["delete-if", settings.vnic]);
  for (const { name } of made.filter((link) => link.class === "vnic"))
    await runCommand("dladm", ["delete-vnic", name]);
  await runCommand("dladm", ["delete-etherstub", settings.link]);
  return {
    fail: () => hypervisor.start(spec.jobId),
    async mend() {
      await hypervisor.remove(spec.jobId);
      await hypervisor.close();
    },
  };
}
