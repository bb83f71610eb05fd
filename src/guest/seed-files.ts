import { parse } from "yaml";
import type { Seed } from "../core/guest.ts";
import type { ImageFile } from "./fat-image.ts";

/** A seed as the files of a NoCloud disk, by the names that cloud-init's documentation of that data source gives. */
export function noCloudFiles({ metaData, userData, vendorData }: Seed): ImageFile[] {
  return [
    { name: "meta-data", content: metaData },
    { name: "user-data", content: userData },
    ...(vendorData === undefined ? [] : [{ name: "vendor-data", content: vendorData }]),
  ];
}

/** A seed as illumos/metadata-agent wants it in an archive (src/provider/generic.rs): its script runs once the guest is up. */
export function metadataAgentFiles({ metaData, userData }: Seed): ImageFile[] {
  return [
    { name: "nodename", content: `${parse(metaData)["local-hostname"]}\n` },
    { name: "firstboot.sh", content: userData },
  ];
}
