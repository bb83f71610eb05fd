import type { Resource, ZoneConfig } from "../zones/records.ts";
import type { Word } from "./zonecfg-words.ts";

/** Lines of `info`, for all or for one property or kind of resource. */
export function infoLines(
  zone: string,
  config: ZoneConfig,
  { type, pairs }: { type: string | null; pairs: readonly Word[] },
): string[] {
  const property = (name: string) => `${name}: ${config.properties[name] ?? ""}`.trimEnd();
  const globals: Record<string, string> = {
    zonename: `zonename: ${zone}`,
    zonepath: `zonepath: ${config.zonepath}`,
    brand: `brand: ${config.brand}`,
    autoboot: `autoboot: ${config.properties.autoboot ?? "false"}`,
    bootargs: property("bootargs"),
    pool: property("pool"),
    limitpriv: property("limitpriv"),
    "scheduling-class": property("scheduling-class"),
    "ip-type": `ip-type: ${config.properties["ip-type"] ?? "shared"}`,
    hostid: property("hostid"),
    "fs-allowed": property("fs-allowed"),
  };
  if (type !== null && globals[type] !== undefined) return [globals[type]];
  if (type === null) return [...Object.values(globals), ...config.resources.flatMap(resourceLines)];
  const wanted: [string, string][] = [];
  for (let at = 0; at < pairs.length; at += 3)
    wanted.push([pairs[at]?.text ?? "", pairs[at + 2]?.text ?? ""]);
  const matches = ({ properties }: Resource) => wanted.every(([name, value]) => properties[name] === value);
  const found = config.resources.filter((one) => one.type === type && matches(one));
  if (found.length === 0 && wanted.length > 0) return [`No such ${type} resource.`];
  return found.flatMap(resourceLines);
}

const shownOrder: Record<string, readonly string[]> = {
  fs: ["dir", "special", "raw", "type", "options"],
  net: [
    "address",
    "allowed-address",
    "defrouter",
    "global-nic",
    "mac-addr",
    "physical",
    "vlan-id",
    "property",
  ],
  attr: ["name", "type", "value"],
};

function resourceLines({ type, properties }: Resource): string[] {
  const names = shownOrder[type] ?? Object.keys(properties);
  return [`${type}:`, ...names.flatMap((name) => propertyLines(type, name, properties[name]))];
}

function propertyLines(type: string, name: string, value: string | readonly string[] | undefined): string[] {
  if (name === "options") return [`\toptions: [${([] as string[]).concat(value ?? []).join(",")}]`];
  if (name === "property") return ([] as string[]).concat(value ?? []).map((one) => `\tproperty: ${one}`);
  if (value !== undefined) return [`\t${name}: ${quoted(String(value))}`];
  return (type === "fs" && name === "raw") || type === "net" ? [`\t${name} not specified`] : [];
}

/** A value with blanks gets quotes, as in zonecfg. */
function quoted(value: string): string {
  return value.includes(" ") ? `"${value}"` : value;
}

/** Lines of `export`: the commands that make this configuration. */
export function exportLines(config: ZoneConfig): string[] {
  const { brand, zonepath, properties, resources } = config;
  const lines = ["create -b"];
  if (zonepath) lines.push(`set zonepath=${zonepath}`);
  if (brand) lines.push(`set brand=${brand}`);
  lines.push(`set autoboot=${properties.autoboot ?? "false"}`);
  for (const [name, value] of Object.entries(properties)) {
    if (name !== "autoboot" && value) lines.push(`set ${name}=${quoted(value)}`);
  }
  for (const resource of resources) {
    lines.push(`add ${resource.type}`);
    for (const [name, value] of Object.entries(resource.properties)) {
      if (typeof value === "string") lines.push(`set ${name}=${quoted(value)}`);
      else lines.push(...value.map((one) => `add ${name} ${quoted(one)}`));
    }
    lines.push("end");
  }
  return lines;
}
