import { testHypervisorContract } from "../testing/contract.ts";
import { createZonesHarness } from "../testing/zones-harness.ts";

testHypervisorContract("zones, on the stand-in", { setUp: createZonesHarness });
