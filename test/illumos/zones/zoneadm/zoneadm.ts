import type { Command, Context } from "../../host/context.ts";
import { CommandFailure, usageExitCode } from "../../host/failure.ts";
import { BadOption, getopt, optionValue } from "../../host/getopt.ts";
import { findZone, stateOf } from "../records.ts";
import { boot, reboot } from "./boot.ts";
import { zoneadmFailure } from "./failures.ts";
import { halt } from "./halt.ts";
import { install } from "./install.ts";
import { listZones } from "./list.ts";
import { mark } from "./mark.ts";
import { shutdown } from "./shutdown.ts";
import { uninstall } from "./uninstall.ts";
import { verifyZone } from "./verify.ts";

type Operation = (context: Context, zone: string, args: readonly string[]) => Promise<void> | void;

const operations: Record<string, Operation> = {
  install,
  boot: (context, zone) => boot(context, zone),
  halt: (context, zone) => halt(context, zone),
  shutdown,
  reboot: (context, zone) => reboot(context, zone),
  uninstall,
  mark,
  verify,
};

function verify(context: Context, name: string): void {
  const zone = findZone(context, name);
  if (zone && stateOf(zone) === "incomplete")
    throw zoneadmFailure(name, "zone is incomplete; uninstall required.");
  if (zone) verifyZone(context, zone, "verify");
}

const usage =
  "usage:\tzoneadm help\n\tzoneadm [-z <zone>] [-u <uuid>] list\n\tzoneadm {-z <zone>|-u <uuid>} <subcommand>";

/** zoneadm(8). */
export const zoneadm: Command = async (context, args) => {
  const options = read(args, "z:u:R:");
  const [subcommand, ...rest] = options.operands;
  const zone = optionValue(options, "z");
  if (subcommand === undefined) throw new CommandFailure(usage, usageExitCode);
  if (subcommand === "list") {
    listZones(context, zone, read(rest, "cinpv"));
    return 0;
  }
  const operation = operations[subcommand];
  if (!operation)
    throw new CommandFailure(`zoneadm: invalid subcommand '${subcommand}'\n${usage}`, usageExitCode);
  if (zone === undefined) {
    throw new CommandFailure(`zoneadm: ${subcommand}: zone not specified.\n${usage}`, usageExitCode);
  }
  if (zone === "global") {
    throw zoneadmFailure("global", `${subcommand} operation is invalid for the global zone.`);
  }
  if (!findZone(context, zone)) throw new CommandFailure(`zoneadm: ${zone}: No such zone configured`);
  await operation(context, zone, rest);
  return 0;
};

function read(args: readonly string[], spec: string) {
  try {
    return getopt(args, spec);
  } catch (error) {
    if (error instanceof BadOption) throw new CommandFailure(usage, usageExitCode);
    throw error;
  }
}
