import type { Resource, ZoneConfig } from "../zones/records.ts";
import { brands } from "./zonecfg-globals.ts";

/** The errors of a configuration, and zonecfg's summary of them. */
export interface VerifyErrors {
  readonly complaints: readonly string[];
  readonly summary: string;
}

/** verify_func of zonecfg.c, and the checks of the bhyve brand; null when the configuration is valid. */
export function verifyConfig(zone: string, config: ZoneConfig): VerifyErrors | null {
  if (config.zonepath === "")
    return { complaints: ["zonepath cannot be empty."], summary: "Required resource missing" };
  if (!brands.includes(config.brand)) {
    return { complaints: [`${zone}: unknown brand.\n`], summary: "Invalid document" };
  }
  const isExclusive = (config.properties["ip-type"] ?? "shared") === "exclusive";
  if (config.brand === "bhyve" && !isExclusive) {
    return { complaints: ["bhyve zones require an exclusive IP stack"], summary: "Brand-specific error" };
  }
  const complaints = config.resources.flatMap((one) =>
    one.type === "net" ? netErrors(one, isExclusive) : [],
  );
  return complaints.length > 0 ? { complaints, summary: "Invalid argument" } : null;
}

function netErrors({ properties }: Resource, isExclusive: boolean): string[] {
  if (isExclusive) {
    return properties.address === undefined
      ? []
      : ["net: address cannot be specified for an exclusive IP type"];
  }
  const missing = properties.address === undefined ? ["net: address not specified"] : [];
  const allowed =
    properties["allowed-address"] === undefined
      ? []
      : ["net: allowed-address cannot be specified for a shared IP type"];
  return [...missing, ...allowed];
}
