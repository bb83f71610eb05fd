import { testHypervisorContract } from "../testing/contract.ts";
import { createDelayHarness, createProcessHarness } from "../testing/noop-harness.ts";

testHypervisorContract("noop, stand-in", { setUp: createDelayHarness, inMemory: true });
testHypervisorContract("noop, runner as a process", { setUp: createProcessHarness });
