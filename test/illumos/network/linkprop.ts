import { isIP } from "node:net";
import type { Context } from "../host/context.ts";
import { CommandFailure } from "../host/failure.ts";
import { type Options, optionValue } from "../host/getopt.ts";
import { change } from "../host/state.ts";
import { allLinks, findLink, linkProperty } from "./links.ts";
import { printFields } from "./show.ts";

const words: Readonly<Record<string, readonly string[]>> = {
  protection: ["mac-nospoof", "restricted", "ip-nospoof", "dhcp-nospoof"],
};

/** The known properties with their defaults. */
const known: Readonly<Record<string, string>> = {
  mtu: "1500",
  protection: "--",
  "allowed-ips": "--",
  "allowed-dhcp-cids": "--",
  maxbw: "--",
  cpus: "--",
  priority: "high",
  zone: "--",
  promisc_filtered: "on",
  learn_limit: "1000",
};

/** Splits `a=x,y,b=z` as libdladm does: a text after a comma is a further value, unless it contains a `=`. */
export function parseProperties(text: string): [name: string, value: string][] {
  const found: [string, string][] = [];
  for (const part of text.split(",")) {
    const equals = part.indexOf("=");
    const last = found.at(-1);
    if (equals > 0) found.push([part.slice(0, equals), part.slice(equals + 1)]);
    else if (last) last[1] += `,${part}`;
    else throw new CommandFailure(`dladm: invalid link properties specified`);
  }
  return found;
}

/** Checks and sets properties of a link, including those before an invalid one (set_linkprop of dladm.c). */
export function setLinkProperties(
  context: Context,
  {
    link,
    properties,
    temporary,
  }: { link: string; properties: readonly [string, string][]; temporary: 0 | 1 },
): void {
  for (const [name, value] of properties) {
    if (known[name] === undefined) throw new CommandFailure(`dladm: invalid link property '${name}'`);
    const values = value.split(",");
    const allowed = words[name];
    if (allowed && !values.every((one) => allowed.includes(one))) {
      throw new CommandFailure(`dladm: link property '${name}' must be one of: ${allowed.join(",")}`);
    }
    if (name === "allowed-ips" && !values.every(isAddress)) {
      throw new CommandFailure(`dladm: cannot set link property '${name}' on '${link}': invalid IP address`);
    }
    const sql = "INSERT OR REPLACE INTO link_properties VALUES (?, ?, ?, ?)";
    change(context.database, sql, link, name, value, temporary);
  }
}

function isAddress(text: string): boolean {
  const [address = "", length] = text.split("/");
  const version = isIP(address);
  return version !== 0 && (length === undefined || Number(length) <= (version === 4 ? 32 : 128));
}

/** dladm show-linkprop. */
export function showLinkProperties(context: Context, options: Options): void {
  const name = options.operands[0];
  if (name !== undefined && !findLink(context, name)) {
    throw new CommandFailure(`dladm: link ${name} is not valid: object not found`);
  }
  const wanted = optionValue(options, "p")?.split(",") ?? Object.keys(known);
  const links = name === undefined ? allLinks(context).map((link) => link.name) : [name];
  const lines = links.flatMap((link) =>
    wanted.map((property) => ({
      LINK: link,
      PROPERTY: property,
      PERM: "rw",
      VALUE: linkProperty(context, link, property) ?? known[property] ?? "--",
      DEFAULT: known[property] ?? "--",
      POSSIBLE: words[property]?.join(",") ?? "--",
    })),
  );
  const columns = ["LINK", "PROPERTY", "PERM", "VALUE", "DEFAULT", "POSSIBLE"];
  // For this command -p names properties, and -c selects output to parse, in which a missing value is an empty text.
  const isParsable = options.given.has("c");
  const shown = isParsable
    ? lines.map((line) => ({ ...line, VALUE: line.VALUE === "--" ? "" : line.VALUE }))
    : lines;
  printFields(context, { ...options, given: new Set(isParsable ? ["p"] : []) }, { columns, lines: shown });
}
