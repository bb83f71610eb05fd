import { parse } from "yaml";
import type { Seed } from "../../core/job/guest.ts";
import type { ImageFile } from "./fat-image.ts";
import { networkPlace } from "./seed-script.ts";
import { illumosNetworkScript, networkConfigVersion1 } from "./static-network.ts";

/** Files of a NoCloud disk, with the names of cloud-init's documentation of that data source. */
export function noCloudFiles({ metaData, userData, vendorData, network }: Seed): ImageFile[] {
  const documents = {
    "meta-data": metaData,
    "user-data": userData,
    "vendor-data": vendorData,
    "network-config": network && networkConfigVersion1(network),
  };
  return Object.entries(documents).flatMap(([name, content]) => (content ? [{ name, content }] : []));
}

/**
 * Files of an archive for illumos/metadata-agent (src/provider/generic.rs): its script runs once the guest is up. The
 * agent itself supports only DHCP.
 */
export function metadataAgentFiles({ metaData, userData, network }: Seed): ImageFile[] {
  const files = [{ name: "nodename", content: `${parse(metaData)["local-hostname"]}\n` }];
  if (!network) return [...files, { name: "firstboot.sh", content: userData }];
  const setNetwork = illumosNetworkScript(network);
  return [
    ...files,
    { name: "config.toml", content: "[network]\nskip = true\n" },
    { name: "firstboot.sh", content: userData.replace(networkPlace, () => setNetwork) },
  ];
}
