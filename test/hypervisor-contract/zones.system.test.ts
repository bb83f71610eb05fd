import { testHypervisorContract } from "./contract.ts";
import { createZonesOnStandIn } from "./zones-hosts.ts";

testHypervisorContract("zones, on the stand-in", {
  setUp: () => createZonesOnStandIn({ guests: "scripted" }),
});
