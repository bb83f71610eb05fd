// `npm run contract`: runs the contract suite on a chosen backend.
import { spawnSync } from "node:child_process";
import { errorText } from "../../src/core/errors.ts";
import { type ContractOptions, testHypervisorContract } from "./contract.ts";
import { type ContractOrder, contractHelp, parseContractArguments } from "./contract-arguments.ts";
import { smallDiskNeedsRoot } from "./host-trouble.ts";

type Run = Extract<ContractOrder, { kind: "run" }>;

const notFilled = "the test does not fill the pool of a real host; it fills the stand-in's";

const order = parsed(process.argv.slice(2));
if (order !== null) {
  try {
    await obey(order);
  } catch (error) {
    complain(error, 1);
  }
}

function parsed(args: readonly string[]): ContractOrder | null {
  try {
    return parseContractArguments(args);
  } catch (error) {
    complain(error, 2);
    return null;
  }
}

function complain(error: unknown, exitCode: number): void {
  process.stderr.write(`contract: ${errorText(error)}\n`);
  process.exitCode = exitCode;
}

async function obey(order: ContractOrder): Promise<void> {
  if (order.kind === "help") process.stdout.write(contractHelp);
  else if (order.only !== null && !process.execArgv.includes(onlyFlag(order.only))) runOnly(order.only);
  else await run(order);
}

function onlyFlag(pattern: string): string {
  return `--test-name-pattern=${pattern}`;
}

/** The test runner takes a pattern only as an option of Node. */
function runOnly(pattern: string): void {
  const args = [...process.execArgv, onlyFlag(pattern), ...process.argv.slice(1)];
  process.exitCode = spawnSync(process.execPath, args, { stdio: "inherit" }).status ?? 1;
}

async function run(order: Run): Promise<void> {
  for (const [name, options] of Object.entries(await suites(order))) testHypervisorContract(name, options);
}

async function suites(order: Run): Promise<Record<string, ContractOptions>> {
  const { backend } = order;
  if (backend === "libvirt") {
    const { createLibvirtHarness, missingSystemLibvirt } = await import("./libvirt/harness.ts");
    const missing = await missingSystemLibvirt();
    if (missing !== false) throw new Error(missing);
    return { libvirt: { setUp: createLibvirtHarness, cannotHappen: smallDiskNeedsRoot } };
  }
  if (backend === "noop") {
    const noop = await import("./noop-harness.ts");
    return {
      "noop, stand-in": { setUp: noop.createDelayHarness, inMemory: true, cannotHappen: noop.delayCannot },
      "noop, runner as a process": { setUp: noop.createProcessHarness, cannotHappen: noop.processCannot },
    };
  }
  return zonesSuite(order);
}

/** On illumos with the commands of this host; elsewhere on the stand-in. */
async function zonesSuite({ image, pool }: Run): Promise<Record<string, ContractOptions>> {
  const { createZonesOnIllumos, createZonesOnStandIn } = await import("./zones/hosts.ts");
  if (process.platform !== "sunos") {
    const guests = image === null ? "scripted" : "qemu";
    return { "zones, on the stand-in": { setUp: () => createZonesOnStandIn({ guests, pool, image }) } };
  }
  if (image === null)
    throw new Error(
      "The tiny guest is built on Debian (sh images/build.sh tiny): copy it here as a raw image, and name it with --image.",
    );
  const cannotHappen = { "the disk is full": notFilled };
  return { zones: { cannotHappen, setUp: () => createZonesOnIllumos({ pool, image }) } };
}
