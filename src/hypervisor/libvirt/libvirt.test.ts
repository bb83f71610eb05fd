import { testHypervisorContract } from "../testing/contract.ts";
import { createLibvirtHarness, missingSystemLibvirt } from "../testing/libvirt-harness.ts";

testHypervisorContract("libvirt", createLibvirtHarness, await missingSystemLibvirt());
