import { join } from "node:path";
import { exists } from "../../../host/files/exists.ts";
import { findProgram } from "../../../host/find-program.ts";
import { installCommand } from "../../../host/packages.ts";
import { type Check, type Finding, fail, ok, warn } from "../check.ts";
import { type Illumos, linesOf } from "./observe.ts";

/** The programs that the zones backend runs on an illumos host. */
const zonePrograms = ["zonecfg", "zoneadm", "zfs", "dladm", "ipadm", "dd"] as const;

/** Checks that this illumos host has the programs, the rights and the hardware that bhyve zones need. */
export function hostChecks(host: Illumos): Check[] {
  return [
    { name: "zone programs", run: () => checkPrograms(host) },
    { name: "privileges", run: () => checkPrivileges(host) },
    { name: "bhyve brand", run: () => checkBrand(host) },
    { name: "bhyve", run: () => checkBhyve(host) },
  ];
}

/** The zone programs that this host lacks. */
export async function missingZonePrograms({ searchPath }: Illumos): Promise<string[]> {
  const found = await Promise.all(zonePrograms.map((program) => findProgram(program, searchPath)));
  return zonePrograms.filter((_, index) => found[index] === null);
}

/** Checks that the system can have zones. Another system with the zone commands on PATH is accepted with a warning: someone installed them on purpose. */
export function judgePlatform(platform: NodeJS.Platform, missing: readonly string[]): Finding {
  if (platform === "sunos") return ok("This is illumos.");
  if (missing.length === 0) {
    return warn(
      `This is ${platform} and not illumos, but the zone commands are on PATH and will be used.`,
      null,
    );
  }
  return fail(
    `This is ${platform} and not illumos: zones need an illumos host (OmniOS), and ${missing.join(", ")} are not here.`,
    "set HYPERVISOR=libvirt on Linux; for an illumos host see docs/reference/illumos.md",
  );
}

async function checkPrograms(host: Illumos): Promise<Finding> {
  const missing = await missingZonePrograms(host);
  if (missing.length === 0) return ok(`${zonePrograms.join(", ")} are on PATH.`);
  const commands = [...new Set(missing.map((program) => installCommand(program, "sunos")))];
  return fail(
    `Not on PATH: ${missing.join(", ")}.`,
    `${commands.join(" && ")}   # and PATH=/usr/sbin:/usr/bin`,
  );
}

async function checkPrivileges(host: Illumos): Promise<Finding> {
  const zone = (await linesOf(host, "zonename", []))?.[0] ?? "global";
  if (zone !== "global") {
    return fail(
      `This is the zone ${zone}: zones can only be created in the global zone.`,
      "run Solstice in the global zone",
    );
  }
  if (host.userId === 0) return ok("The user is root in the global zone.");
  return fail(
    "Only root can create zones: zoneadm(8) needs every privilege.",
    "pfexec solstice doctor   # the service runs as root",
  );
}

async function checkBrand({ root }: Illumos): Promise<Finding> {
  const directory = join(root, "usr/lib/brand/bhyve");
  if (await exists(join(directory, "config.xml"))) return ok(`${directory} exists.`);
  return fail(`The bhyve brand is not installed (${directory}).`, "pkg install system/zones/brand/bhyve");
}

/** Checks the devices of bhyve(8). The driver creates them only if the processor supports virtualization. */
async function checkBhyve({ root }: Illumos): Promise<Finding> {
  const devices = ["vmmctl", "viona"].map((name) => join(root, "dev", name));
  const absent = [];
  for (const device of devices) if (!(await exists(device))) absent.push(device);
  if (absent.length === 0) return ok(`${devices.join(" and ")} exist.`);
  return fail(
    `bhyve cannot be used: ${absent.join(", ")} not found. bhyve needs hardware virtualization.`,
    "pkg install system/bhyve && bhhwcompat -v   # reports what the processor or its firmware lacks; devfsadm creates the devices",
  );
}
