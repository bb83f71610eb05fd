import { testHypervisorContract } from "../testing/contract.ts";
import { createZonesHarness } from "../testing/zones-harness.ts";

testHypervisorContract("zones, on the stand-in", {
  setUp: createZonesHarness,
  cannotHappen: {
    "the process is killed": "it can, and is tried with the whole orchestrator: test/zones.test.ts",
  },
});
