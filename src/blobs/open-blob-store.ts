import type { OrchestratorConfig } from "../config/orchestrator-config.ts";
import { SolsticeError } from "../core/errors.ts";
import type { BlobStore } from "./blob-store.ts";
import { openDirectoryStore } from "./directory-store.ts";

/** Opens the blob store that is configured. Throws `disk_full`, `unavailable`, and file system errors. */
export async function openBlobStore(config: Pick<OrchestratorConfig, "blobPlace">): Promise<BlobStore> {
  if (config.blobPlace.kind === "directory") return openDirectoryStore(config.blobPlace.path);
  throw new SolsticeError("config_invalid", "An S3 place is not supported yet.");
}
