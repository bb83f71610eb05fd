import type { Command, Context } from "../host/context.ts";
import { CommandFailure, usageExitCode } from "../host/failure.ts";
import { BadOption, getopt, type Options, optionValue } from "../host/getopt.ts";
import { change, exclusively, rows } from "../host/state.ts";
import { runningZoneWithLink } from "../zones/use.ts";
import { parseProperties, setLinkProperties, showLinkProperties } from "./linkprop.ts";
import { allLinks, findLink, isLinkName, type Link } from "./links.ts";
import { printFields } from "./show.ts";

/** dladm(8): VNICs, etherstubs, links and their properties. */
export const dladm: Command = (context, [name, ...args]) => {
  const subcommand = subcommands[name ?? ""];
  if (!subcommand) throw new CommandFailure("usage:  dladm <subcommand> <args> ...", usageExitCode);
  try {
    subcommand.run(context, getopt(args.map(shorten), subcommand.spec));
  } catch (error) {
    if (!(error instanceof BadOption)) throw error;
    const option = error.letter;
    throw new CommandFailure(
      error.lacksValue
        ? `dladm: option '-${option}' requires a value`
        : `dladm: unrecognized option '-${option}'`,
    );
  }
};

const longOptions: Record<string, string> = {
  "--temporary": "-t",
  "--link": "-l",
  "--mac-address": "-m",
  "--prop": "-p",
  "--parsable": "-p",
  "--parseable": "-p",
  "--output": "-o",
};

function shorten(argument: string): string {
  const [name = "", value] = argument.split("=", 2);
  const short = longOptions[name];
  return short ? short + (value ?? "") : argument;
}

const subcommands: Record<string, { spec: string; run(context: Context, options: Options): void }> = {
  "create-vnic": { spec: "tR:l:m:v:p:r:n:H", run: createVnic },
  "delete-vnic": { spec: "tR:", run: deleteVnic },
  "show-vnic": { spec: "pPl:o:sz:i:", run: showVnics },
  "create-etherstub": { spec: "tR:", run: createEtherstub },
  "delete-etherstub": { spec: "tR:", run: deleteEtherstub },
  "show-etherstub": { spec: "tpo:", run: showEtherstubs },
  "show-link": { spec: "pPo:sz:i:", run: showLinks },
  "show-phys": { spec: "pPo:mH", run: showPhysical },
  "set-linkprop": { spec: "tR:p:z:", run: setProperties },
  "show-linkprop": { spec: "p:PcCo:z:", run: showLinkProperties },
  "reset-linkprop": { spec: "tR:p:z:", run: resetProperties },
};

function usage(): CommandFailure {
  return new CommandFailure("usage:\tdladm <subcommand> <args> ...");
}

function createVnic(context: Context, options: Options): void {
  const name = onlyOperand(options);
  const over = optionValue(options, "l");
  if (over === undefined) throw usage();
  checkLinkName(name);
  const properties = (options.values.get("p") ?? []).flatMap(parseProperties);
  const vid = vlanOf(optionValue(options, "v"));
  exclusively(context.database, () => {
    if (!findLink(context, over)) throw new CommandFailure(`dladm: invalid link name '${over}'`);
    const fail = (text: string) => new CommandFailure(`dladm: vnic creation over ${over} failed: ${text}`);
    if (findLink(context, name)) throw fail("object already exists");
    const given = normalMac(optionValue(options, "m"));
    const mac = given ?? randomMac();
    if (Number.parseInt(mac, 16) % 2 === 1) throw fail("invalid MAC address value");
    if (allLinks(context).some((link) => link.over === over && link.mac === mac && link.vid === vid)) {
      throw fail("MAC address in use");
    }
    const temporary = options.given.has("t") ? 1 : 0;
    const sql = "INSERT INTO links (name, class, over, mac, vid, temporary) VALUES (?, 'vnic', ?, ?, ?, ?)";
    change(context.database, sql, name, over, mac, vid, temporary);
    setLinkProperties(context, { link: name, properties, temporary });
  });
}

/** The name of the command's object, its only operand. */
function onlyOperand({ operands }: Options): string {
  const [name, ...more] = operands;
  if (name === undefined || more.length > 0) throw usage();
  return name;
}

function checkLinkName(name: string): void {
  if (name.length > 31) throw new CommandFailure(`dladm: link name too long '${name}'`);
  if (!isLinkName(name)) throw new CommandFailure(`dladm: invalid link name '${name}'`);
}

function vlanOf(text: string | undefined): number {
  const vid = Number(text ?? 0);
  if (text === undefined || (Number.isInteger(vid) && vid >= 1 && vid <= 4094)) return vid;
  throw new CommandFailure(`dladm: invalid VLAN identifier '${text}'`);
}

function normalMac(text: string | undefined): string | null {
  if (text === undefined || ["auto", "random", "factory"].includes(text)) return null;
  const parts = text.split(":");
  if (parts.length !== 6 || !parts.every((part) => /^[0-9a-f]{1,2}$/i.test(part))) {
    throw new CommandFailure(`dladm: invalid MAC address`);
  }
  return parts.map((part) => part.toLowerCase().padStart(2, "0")).join(":");
}

function randomMac(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(3));
  return ["02", "08", "20", ...[...bytes].map((byte) => byte.toString(16).padStart(2, "0"))].join(":");
}

function deleteVnic(context: Context, options: Options): void {
  deleteLink(context, onlyOperand(options), "vnic");
}

/** do_delete_vnic_common of dladm.c, whose message contains `vnic` for etherstubs as well. */
function deleteLink(context: Context, name: string, kind: "vnic" | "etherstub"): void {
  const { database } = context;
  exclusively(database, () => {
    const link = findLink(context, name);
    if (!link) throw new CommandFailure(`dladm: invalid link name '${name}'`);
    if (link.class !== kind) {
      throw new CommandFailure(
        `dladm: '${name}' is not ${link.class === "etherstub" ? "a vnic" : "an etherstub"}`,
      );
    }
    const isUsed =
      runningZoneWithLink(context, name) !== null ||
      rows(database, "SELECT name FROM links WHERE over = ?", name).length > 0 ||
      rows(database, "SELECT name FROM interfaces WHERE name = ?", name).length > 0;
    if (isUsed) throw new CommandFailure("dladm: vnic deletion failed: link busy");
    change(database, "DELETE FROM link_properties WHERE link = ?", name);
    change(database, "DELETE FROM links WHERE name = ?", name);
  });
}

function createEtherstub(context: Context, options: Options): void {
  const name = onlyOperand(options);
  checkLinkName(name);
  exclusively(context.database, () => {
    if (findLink(context, name))
      throw new CommandFailure("dladm: etherstub creation failed: object already exists");
    const temporary = options.given.has("t") ? 1 : 0;
    const sql = "INSERT INTO links (name, class, temporary) VALUES (?, 'etherstub', ?)";
    change(context.database, sql, name, temporary);
  });
}

function deleteEtherstub(context: Context, options: Options): void {
  deleteLink(context, onlyOperand(options), "etherstub");
}

/** do_show_vnic_common of dladm.c, whose message contains `vnic` for etherstubs as well. */
function found(context: Context, name: string | undefined, kind: Link["class"]): Link[] {
  const links = allLinks(context).filter((link) => link.class === kind);
  if (name === undefined) return links;
  const one = links.find((link) => link.name === name);
  if (one) return [one];
  throw new CommandFailure(
    findLink(context, name)
      ? `dladm: failed to show vnic '${name}': bad argument`
      : `dladm: invalid vnic name '${name}': object not found`,
  );
}

function showVnics(context: Context, options: Options): void {
  const over = optionValue(options, "l");
  const links = found(context, options.operands[0], "vnic").filter(
    (link) => over === undefined || link.over === over,
  );
  printFields(context, options, {
    columns: ["LINK", "OVER", "SPEED", "MACADDRESS", "MACADDRTYPE", "VID", "ZONE"],
    lines: links.map((link) => ({
      LINK: link.name,
      OVER: link.over ?? "",
      SPEED: "0",
      MACADDRESS: shortMac(link.mac),
      MACADDRTYPE: "fixed",
      VID: String(link.vid),
      ZONE: runningZoneWithLink(context, link.name) ?? "",
    })),
  });
}

/** dladm writes a MAC address without leading zeros. */
function shortMac(mac: string | null): string {
  return (mac ?? "")
    .split(":")
    .map((part) => part.replace(/^0(?=.)/, ""))
    .join(":");
}

function showEtherstubs(context: Context, options: Options): void {
  const links = found(context, options.operands[0], "etherstub");
  printFields(context, options, {
    columns: ["LINK"],
    lines: links.map((link) => ({ LINK: link.name, ZONE: "" })),
  });
}

function showLinks(context: Context, options: Options): void {
  const name = options.operands[0];
  const links = allLinks(context).filter((link) => name === undefined || link.name === name);
  if (name !== undefined && links.length === 0) {
    throw new CommandFailure(`dladm: link ${name} is not valid: object not found`);
  }
  printFields(context, options, {
    columns: ["LINK", "CLASS", "MTU", "STATE", "BRIDGE", "OVER"],
    lines: links.map((link) => ({
      LINK: link.name,
      CLASS: link.class,
      MTU:
        link.class === "etherstub" || link.over === null ? (link.class === "phys" ? "1500" : "9000") : "1500",
      STATE: "up",
      BRIDGE: "",
      OVER: link.over ?? "",
    })),
  });
}

function showPhysical(context: Context, options: Options): void {
  const links = found(context, options.operands[0], "phys");
  printFields(context, options, {
    columns: ["LINK", "MEDIA", "STATE", "SPEED", "DUPLEX", "DEVICE"],
    lines: links.map(({ name }) => ({
      LINK: name,
      MEDIA: "Ethernet",
      STATE: "up",
      SPEED: "1000",
      DUPLEX: "full",
      DEVICE: name,
    })),
  });
}

function setProperties(context: Context, options: Options): void {
  const link = onlyOperand(options);
  const properties = (options.values.get("p") ?? []).flatMap(parseProperties);
  if (properties.length === 0) throw new CommandFailure("dladm: link property must be specified");
  exclusively(context.database, () => {
    checkLink(context, link);
    setLinkProperties(context, { link, properties, temporary: options.given.has("t") ? 1 : 0 });
  });
}

function checkLink(context: Context, link: string): void {
  if (!findLink(context, link))
    throw new CommandFailure(`dladm: link ${link} is not valid: object not found`);
}

function resetProperties(context: Context, options: Options): void {
  const link = onlyOperand(options);
  checkLink(context, link);
  const names = (options.values.get("p") ?? []).flatMap((text) => text.split(","));
  const { database } = context;
  for (const name of names)
    change(database, "DELETE FROM link_properties WHERE link = ? AND name = ?", link, name);
  if (names.length === 0) change(database, "DELETE FROM link_properties WHERE link = ?", link);
}
