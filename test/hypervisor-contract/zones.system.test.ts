import { isExhaustive } from "../support/sampling.ts";
import { testHypervisorContract } from "./contract.ts";
import { createZonesOnStandIn } from "./zones/hosts.ts";

testHypervisorContract("zones, on the stand-in", {
  setUp: () => createZonesOnStandIn({ guests: "scripted" }),
});

// In `npm test`, test/guests/zones.test.ts runs the guests in QEMU.
if (isExhaustive)
  testHypervisorContract("zones, in QEMU", { setUp: () => createZonesOnStandIn({ guests: "qemu" }) });
