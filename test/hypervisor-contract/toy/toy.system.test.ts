import { testHypervisorContract } from "../contract.ts";
import { toyContract } from "./toy-harness.ts";

testHypervisorContract("toy, QEMU as a process", await toyContract());
