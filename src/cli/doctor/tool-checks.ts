import { isSolsticeError } from "../../core/errors.ts";
import { missingTool, runCommand } from "../../host/command.ts";
import { installCommand } from "../../host/packages.ts";
import { type Check, type Finding, fail, ok } from "./check.ts";

const nodeMajorNeeded = 24;
const isoTools = ["genisoimage", "mkisofs", "xorriso"];

/** Checks the programs that create guests of libvirt. */
export function toolChecks(): Check[] {
  return [toolCheck("qemu-img"), toolCheck("qemu-system-x86_64", "QEMU"), isoToolCheck()];
}

/** Checks that a program is installed; the finding shows its version. */
export function toolCheck(program: string, name = program): Check {
  return { name, run: () => checkTool(program) };
}

/** Checks that a program that creates seeds is installed. */
export function isoToolCheck(): Check {
  return { name: "ISO tool", run: checkIsoTool };
}

/** Checks that this Node.js can run the orchestrator. */
export function nodeCheck(): Check {
  return { name: "Node.js", run: async () => checkNode(process.versions.node) };
}

/** The finding for a version of Node.js. */
export function checkNode(version: string, platform: NodeJS.Platform = process.platform): Finding {
  if (Number.parseInt(version, 10) >= nodeMajorNeeded) return ok(`Node.js ${version}`);
  const remedy = platform === "sunos" ? installCommand("node", platform) : "npm ci --include=optional";
  return fail(`Node.js ${version} is too old: ${nodeMajorNeeded} is needed.`, remedy);
}

async function checkTool(program: string): Promise<Finding> {
  const version = await versionOf(program);
  if (version === null) throw missingTool(program);
  return ok(version);
}

async function checkIsoTool(): Promise<Finding> {
  for (const program of isoTools) {
    const version = await versionOf(program);
    if (version !== null) return ok(version);
  }
  return fail(
    `None of ${isoTools.join(", ")} is installed; one of them is needed to create the guests' seeds.`,
    installCommand("genisoimage"),
  );
}

/** The first line of `--version`, or null when the program is not installed. */
async function versionOf(program: string): Promise<string | null> {
  try {
    const { stdout, stderr } = await runCommand(program, ["--version"], { deadlineSeconds: 10 });
    return (stdout.trim() || stderr.trim()).split("\n")[0] ?? program;
  } catch (error) {
    if (isSolsticeError(error, "host_missing_tool")) return null;
    throw error;
  }
}
