import { stat } from "node:fs/promises";
import { join } from "node:path";
import { findProgram } from "../../../host/find-program.ts";
import { installCommand } from "../../../host/packages.ts";
import { type Check, type Finding, fail, ok, warn } from "../check.ts";
import { type Illumos, linesOf } from "./observe.ts";

/** What the zones backend starts on an illumos host. */
const zonePrograms = ["zonecfg", "zoneadm", "zfs", "dladm", "ipadm", "dd"] as const;

/** Whether this host is an illumos with the programs, the rights and the hardware that bhyve zones need. */
export function hostChecks(host: Illumos): Check[] {
  return [
    { name: "zone programs", run: () => checkPrograms(host) },
    { name: "privileges", run: () => checkPrivileges(host) },
    { name: "bhyve brand", run: () => checkBrand(host) },
    { name: "bhyve", run: () => checkBhyve(host) },
  ];
}

/** The programs of zones that this host does not have. */
export async function missingZonePrograms({ searchPath }: Illumos): Promise<string[]> {
  const found = await Promise.all(zonePrograms.map((program) => findProgram(program, searchPath)));
  return zonePrograms.filter((_, index) => found[index] === null);
}

/** Whether the system can have zones at all. On another one that has their commands, whoever put them there knows why. */
export function judgePlatform(platform: NodeJS.Platform, missing: readonly string[]): Finding {
  if (platform === "sunos") return ok("This is illumos.");
  if (missing.length === 0) {
    return warn(
      `This is ${platform} and not illumos, but the commands of zones are on PATH: they are taken for what they say.`,
      null,
    );
  }
  return fail(
    `This is ${platform} and not illumos: zones need an illumos host (OmniOS), and ${missing.join(", ")} are not here.`,
    "HYPERVISOR=libvirt on Linux; docs/reference/illumos.md for an illumos host",
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
      `This is the zone ${zone}: zones can only be made in the global zone.`,
      "run Solstice in the global zone",
    );
  }
  if (host.userId === 0) return ok("root in the global zone.");
  return fail(
    "Only root makes zones: zoneadm(8) wants every privilege.",
    "pfexec solstice doctor   # the service runs as root",
  );
}

async function checkBrand({ root }: Illumos): Promise<Finding> {
  const directory = join(root, "usr/lib/brand/bhyve");
  if (await exists(join(directory, "config.xml"))) return ok(`${directory} is there.`);
  return fail(`The bhyve brand is not installed (${directory}).`, "pkg install system/zones/brand/bhyve");
}

/** The devices that bhyve(8) works with; the driver makes them only where the processor has what it needs. */
async function checkBhyve({ root }: Illumos): Promise<Finding> {
  const devices = ["vmmctl", "viona"].map((name) => join(root, "dev", name));
  const absent = [];
  for (const device of devices) if (!(await exists(device))) absent.push(device);
  if (absent.length === 0) return ok(`${devices.join(" and ")} are there.`);
  return fail(
    `bhyve cannot be used: ${absent.join(", ")} not found. Without hardware virtualization there is none.`,
    "pkg install system/bhyve && bhhwcompat -v   # says what the processor or its firmware lacks; devfsadm makes devices again",
  );
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
