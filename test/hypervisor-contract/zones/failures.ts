import type { RunCommand } from "../../../src/host/command.ts";
import type { GuestSpec, Hypervisor } from "../../../src/hypervisor/hypervisor.ts";
import type { BrokenHost, ContractHarness } from "../contract.ts";
import { withoutPrograms } from "../host-trouble.ts";
import type { ZonesTestHost } from "./harness.ts";
import { removeNetwork } from "./look.ts";
import { looks } from "./looks.ts";
import { openZones, type ZonesNetwork, type ZonesPlace, zonesSettings } from "./place.ts";

/** The network that the test removes. */
const otherNetwork: ZonesNetwork = {
  link: "solcontract1",
  vnic: "solcontracthost1",
  addresses: "10.99.78",
};

/** Functions that cause each failure of an illumos host for real. */
export function zonesFailures(host: ZonesTestHost, place: ZonesPlace): ContractHarness["failures"] {
  const { run, fillPool } = host;
  const on = async (
    fail: (hypervisor: Hypervisor) => Promise<unknown>,
    later: RunCommand = run,
  ): Promise<BrokenHost> => {
    const prepared = openZones(place, run);
    await prepared.prepare();
    await prepared.close();
    const hypervisor = openZones(place, later);
    return { fail: () => fail(hypervisor), repair: () => hypervisor.close() };
  };
  const isOfIllumos = (program: string) => program === "dd" || looks[program] !== undefined;
  return {
    "the hypervisor is gone": () =>
      on((hypervisor) => hypervisor.listInventory(), withoutPrograms(run, isOfIllumos)),
    // qemu-img unpacks an image that is not in the pool yet.
    "a tool is missing": (spec) =>
      on(
        (hypervisor) => hypervisor.create({ ...spec, imageFormat: "qcow2", imageDigest: "cd".repeat(32) }),
        withoutPrograms(run, (program) => !isOfIllumos(program)),
      ),
    ...(fillPool && { "the disk is full": (spec: GuestSpec) => fillThePool(on, fillPool, spec) }),
    "the network is missing": (spec) => loseTheNetwork(host, place, spec),
    "the image's file is gone": (spec) =>
      on((hypervisor) =>
        hypervisor.create({ ...spec, imageDigest: null, imagePath: `${spec.imagePath}.gone` }),
      ),
  };
}

async function fillThePool(
  on: (fail: (hypervisor: Hypervisor) => Promise<unknown>) => Promise<BrokenHost>,
  fillPool: () => () => void,
  spec: GuestSpec,
): Promise<BrokenHost> {
  let empty = () => {};
  const broken = await on((hypervisor) => {
    empty = fillPool();
    return hypervisor.create(spec);
  });
  return {
    fail: broken.fail,
    repair() {
      empty();
      return broken.repair();
    },
  };
}

/** Removes the link below the guests' network cards, and the cards with it, between a guest's create and its start. */
async function loseTheNetwork(host: ZonesTestHost, place: ZonesPlace, spec: GuestSpec): Promise<BrokenHost> {
  const settings = zonesSettings(place.settings.pool, otherNetwork, 2);
  const hypervisor = openZones({ ...place, settings }, host.run);
  await hypervisor.prepare();
  await hypervisor.create(spec);
  await removeNetwork(host.suiteRun, otherNetwork);
  return {
    fail: () => hypervisor.start(spec.jobId),
    async repair() {
      await hypervisor.remove(spec.jobId);
      await hypervisor.close();
    },
  };
}
