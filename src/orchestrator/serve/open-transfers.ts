import type { CacheContext } from "../../attempts/caches/cache-context.ts";
import { cacheDownloads, cacheKind, cacheUploadKind } from "../../attempts/caches/cache-kind.ts";
import { artifactKind, createArtifactKind } from "../../attempts/transfers/artifact-kind.ts";
import { createTransfers, type Transfers } from "../../attempts/transfers/transfers.ts";
import type { BlobStore } from "../../blobs/blob-store.ts";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import type { Store } from "../../store/store.ts";
import type { Log } from "../context.ts";
import type { HostIdentity } from "../identity.ts";
import type { DiskGuard } from "../upkeep/disk-guard.ts";

/** The dependencies of {@link openTransfers}. */
export interface TransferParts {
  readonly config: OrchestratorConfig;
  readonly identity: HostIdentity;
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly caches: CacheContext;
  readonly diskGuard: DiskGuard;
  readonly log: Log;
}

/** The uploads and downloads of this host's guests: registers every kind of file. */
export function openTransfers(parts: TransferParts): Transfers {
  const { config, identity, store, blobs, caches, diskGuard, log } = parts;
  return createTransfers({
    store,
    blobs,
    kinds: {
      uploads: {
        [artifactKind]: createArtifactKind(config.artifactLimits),
        [cacheKind]: cacheUploadKind(caches),
      },
      downloads: { [cacheKind]: cacheDownloads(store) },
    },
    hostId: identity.hostId,
    log,
    now: Date.now,
    diskProblem: () => diskGuard.pausedReason(),
  });
}
