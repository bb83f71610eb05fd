import { parse } from "yaml";
import type { Seed } from "../../core/job/guest.ts";
import type { ImageFile } from "./fat-image.ts";
import { networkPlace } from "./seed-script.ts";
import { illumosNetworkScript, networkConfigVersion1, parseNetworkConfig } from "./static-network.ts";

/** A seed as the files of a NoCloud disk, by the names that cloud-init's documentation of that data source gives. */
export function noCloudFiles({ metaData, userData, vendorData, networkConfig }: Seed): ImageFile[] {
  const documents = {
    "meta-data": metaData,
    "user-data": userData,
    "vendor-data": vendorData,
    "network-config": networkConfig && networkConfigVersion1(parseNetworkConfig(networkConfig)),
  };
  return Object.entries(documents).flatMap(([name, content]) => (content ? [{ name, content }] : []));
}

/**
 * A seed as illumos/metadata-agent wants it in an archive (src/provider/generic.rs): its script runs once the guest is up. The
 * agent itself only knows DHCP.
 */
export function metadataAgentFiles({ metaData, userData, networkConfig }: Seed): ImageFile[] {
  const files = [{ name: "nodename", content: `${parse(metaData)["local-hostname"]}\n` }];
  if (!networkConfig) return [...files, { name: "firstboot.sh", content: userData }];
  const setNetwork = illumosNetworkScript(parseNetworkConfig(networkConfig));
  return [
    ...files,
    { name: "config.toml", content: "[network]\nskip = true\n" },
    { name: "firstboot.sh", content: userData.replace(networkPlace, () => setNetwork) },
  ];
}
