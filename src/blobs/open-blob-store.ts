import { join } from "node:path";
import type { OrchestratorConfig } from "../config/orchestrator-config.ts";
import type { BlobStore } from "./blob-store.ts";
import { openDirectoryStore } from "./directory-store.ts";

/** Opens the blob store that is configured. Throws `disk_full`, and file system errors; a bucket is first asked when used. */
export async function openBlobStore(
  config: Pick<OrchestratorConfig, "blobPlace" | "s3" | "dataDir">,
): Promise<BlobStore> {
  const { blobPlace, s3, dataDir } = config;
  if (blobPlace.kind === "directory") return openDirectoryStore(blobPlace.path);
  // The client library costs memory and time at the start: who does not use it does not pay for it.
  const { openS3Store } = await import("./s3-store.ts");
  const { bucket, prefix } = blobPlace;
  return openS3Store({ bucket, prefix, ...s3, stagingDirectory: join(dataDir, "files", "staging") });
}
