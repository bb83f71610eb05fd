import { isExhaustive } from "../support/sampling.ts";
import { testHypervisorContract, testOneGuest } from "./contract.ts";
import { createZonesOnStandIn } from "./zones-hosts.ts";

testHypervisorContract("zones, on the stand-in", {
  setUp: () => createZonesOnStandIn({ guests: "scripted" }),
});

const withMachines = { setUp: () => createZonesOnStandIn({ guests: "qemu" }) };
testOneGuest("zones, in QEMU", withMachines);
if (isExhaustive) testHypervisorContract("zones, in QEMU", withMachines);
