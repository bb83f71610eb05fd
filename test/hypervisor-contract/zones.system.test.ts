import { testHypervisorContract } from "./contract.ts";
import { createZonesHarness } from "./zones-harness.ts";

testHypervisorContract("zones, on the stand-in", { setUp: createZonesHarness });
