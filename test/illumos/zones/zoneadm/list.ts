import type { Context } from "../../host/context.ts";
import { CommandFailure } from "../../host/failure.ts";
import type { Options } from "../../host/getopt.ts";
import { allZones, stateOf, type Zone } from "../records.ts";

interface Line {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly path: string;
  readonly uuid: string;
  readonly brand: string;
  readonly ipType: string;
  /** OmniOS' eighth field: a number that the zone keeps. */
  readonly debugId: string;
}

const globalZone: Line = {
  id: "0",
  name: "global",
  state: "running",
  path: "/",
  uuid: "",
  brand: "ipkg",
  ipType: "shared",
  debugId: "0",
};

/** zoneadm list: running zones, or with -i the installed ones, or with -c all of them; -n leaves out the global one. */
export function listZones(context: Context, name: string | undefined, { given }: Options): void {
  const lines = [globalZone, ...sortZones(context, allZones(context)).map((zone) => describe(zone))].filter(
    (line) => (name === undefined ? isWanted(line, given) : line.name === name),
  );
  if (name !== undefined && lines.length === 0) {
    throw new CommandFailure(`zoneadm: ${name}: No such zone configured`);
  }
  if (given.has("p") && given.has("v")) {
    throw new CommandFailure("zoneadm: list -p and -v are mutually exclusive.");
  }
  if (given.has("p")) for (const line of lines) context.out(parsable(line));
  else if (given.has("v")) printTable(context, lines);
  else for (const line of lines) context.out(line.name);
}

/** Running zones come first, by number; the others in the order of the index. */
function sortZones(_context: Context, zones: Zone[]): Zone[] {
  const isRunning = (zone: Zone) => !["configured", "incomplete", "installed"].includes(stateOf(zone));
  const running = zones.filter(isRunning).sort((a, b) => (a.id ?? 0) - (b.id ?? 0));
  return [...running, ...zones.filter((zone) => !isRunning(zone))];
}

function describe(zone: Zone): Line {
  const state = stateOf(zone);
  const isRunning = !["configured", "incomplete", "installed"].includes(state);
  return {
    id: isRunning ? String(zone.id) : "-",
    name: zone.name,
    state,
    path: zone.config.zonepath,
    uuid: zone.uuid,
    brand: zone.config.brand,
    ipType: zone.config.properties["ip-type"] === "exclusive" ? "excl" : "shared",
    debugId: String(zone.serial),
  };
}

function isWanted(line: Line, given: ReadonlySet<string>): boolean {
  if (line.name === "global" && given.has("n")) return false;
  if (given.has("c")) return true;
  if (given.has("i")) return line.state !== "configured" && line.state !== "incomplete";
  return line.id !== "-";
}

function parsable({ id, name, state, path, uuid, brand, ipType, debugId }: Line): string {
  return [id, name, state, path.replaceAll(":", "\\:"), uuid, brand, ipType, debugId].join(":");
}

function printTable(context: Context, lines: readonly Line[]): void {
  const cells = lines.map(({ id, name, state, path, brand, ipType }) => [
    id,
    name,
    state,
    path,
    brand,
    ipType,
  ]);
  const widths = [4, 16, 10, 30, 8, 6];
  for (const line of [["ID", "NAME", "STATUS", "PATH", "BRAND", "IP"], ...cells]) {
    const [id = "", ...rest] = line;
    context.out(
      [id.padStart(4), ...rest.map((text, index) => text.padEnd(widths[index + 1] ?? 0))].join(" "),
    );
  }
}
