import { Complaint } from "../zones/complaint.ts";
import type { ZoneConfig, ZoneState } from "../zones/records.ts";
import { globalProperties } from "./resources.ts";

const blank: ZoneConfig = { brand: "ipkg", zonepath: "", properties: {}, resources: [] };
const exclusive: ZoneConfig = { ...blank, properties: { "ip-type": "exclusive" } };

/** The initial properties of `create`. */
export const templates: Readonly<Record<string, ZoneConfig>> = {
  SUNWblank: blank,
  SUNWdefault: exclusive,
  OMNIdefault: exclusive,
  OMNIbhyve: { ...exclusive, brand: "bhyve" },
};

/** The brands of this host. */
export const brands: readonly string[] = ["bhyve", "ipkg", "sparse", "lipkg"];

type Change = { readonly config: ZoneConfig } | { readonly remark: string };

/** `set` in the global scope (set_func of zonecfg.c). */
export function setGlobalProperty(
  config: ZoneConfig,
  name: string,
  { given, state, zone }: { given: string | readonly string[]; state: ZoneState | null; zone: string },
): Change {
  if (typeof given !== "string") throw new Complaint("A simple value was expected here.");
  const isInstalled = state !== null && state !== "configured" && state !== "incomplete";
  if ((name === "zonepath" || name === "brand") && isInstalled) {
    return { remark: `Zone ${zone} already installed; set ${name} not allowed.` };
  }
  if (name === "zonepath") {
    if (!given.startsWith("/")) throw new Complaint(`${given} is not an absolute path.`);
    if (/^\/+$/.test(given)) throw new Complaint("/ is not allowed as a zonepath.");
    return { config: { ...config, zonepath: given } };
  }
  if (name === "brand") return { config: { ...config, brand: given } };
  if (!(name in globalProperties)) {
    throw new Complaint("Cannot set a resource-specific property from the global scope.");
  }
  oneOf(name, given, "ip-type", "shared", "exclusive");
  oneOf(name, given, "autoboot", "true", "false");
  return { config: { ...config, properties: { ...config.properties, [name]: given } } };
}

function oneOf(name: string, given: string, ...[property, first, second]: [string, string, string]): void {
  if (name === property && given !== first && given !== second) {
    throw new Complaint(`${name} value must be '${first}' or '${second}'.`);
  }
}
