import { testHypervisorContract } from "../testing/contract.ts";
import { smallDiskNeedsRoot } from "../testing/host-trouble.ts";
import { createLibvirtHarness, missingSystemLibvirt } from "../testing/libvirt-harness.ts";

testHypervisorContract("libvirt", {
  setUp: createLibvirtHarness,
  skip: await missingSystemLibvirt(),
  cannotHappen: smallDiskNeedsRoot,
});
