import { join } from "node:path";
import type { OrchestratorConfig } from "../config/orchestrator-config.ts";
import type { BlobStore } from "./blob-store.ts";
import { openDirectoryStore } from "./directory-store.ts";

/**
 * Opens the configured blob store. Throws `disk_full` and file system errors; a bucket is contacted at its first use
 * only.
 */
export async function openBlobStore(
  config: Pick<OrchestratorConfig, "blobPlace" | "s3" | "dataDir">,
): Promise<BlobStore> {
  const { blobPlace, s3, dataDir } = config;
  if (blobPlace.kind === "directory") return openDirectoryStore(blobPlace.path);
  // Loaded only when configured: the client library costs memory and start-up time.
  const { openS3Store } = await import("./s3-store.ts");
  const { bucket, prefix } = blobPlace;
  return openS3Store({ bucket, prefix, ...s3, stagingDirectory: join(dataDir, "files", "staging") });
}
