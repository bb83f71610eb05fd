import { testHypervisorContract } from "./contract.ts";
import { smallDiskNeedsRoot } from "./host-trouble.ts";
import { createLibvirtHarness, missingSystemLibvirt } from "./libvirt/harness.ts";

testHypervisorContract("libvirt", {
  setUp: createLibvirtHarness,
  skip: await missingSystemLibvirt(),
  cannotHappen: smallDiskNeedsRoot,
});
