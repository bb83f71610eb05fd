import { testHypervisorContract } from "./contract.ts";
import { createDelayHarness, createProcessHarness, delayCannot, processCannot } from "./noop-harness.ts";

testHypervisorContract("noop, stand-in", {
  setUp: createDelayHarness,
  inMemory: true,
  cannotHappen: delayCannot,
});
testHypervisorContract("noop, runner as a process", {
  setUp: createProcessHarness,
  cannotHappen: processCannot,
});
