import { formatBytes } from "../../host/disk-space.ts";
import { blobKeyOf } from "./blob-keys.ts";
import type { UploadKind, UploadOffer } from "./transfer-kinds.ts";

/** What artifacts may take, in bytes. */
export interface ArtifactLimits {
  readonly fileBytes: number;
  /** All artifacts of one attempt. */
  readonly jobBytes: number;
  /** All artifacts that are kept: on this host, or in the bucket. */
  readonly storeBytes: number;
}

/** Files that one attempt may keep. */
export const artifactFilesMax = 2000;

/** The name of the kind, and the word that the keys of its blobs begin with. */
export const artifactKind = "artifact";
export const artifactPrefix = "artifacts/";

/** Artifacts: files that a job keeps. */
export function createArtifactKind(limits: ArtifactLimits): UploadKind {
  return {
    refusal: (_session, offer) => artifactRefusal(limits, offer),
    blobKey: ({ machine }, uploadId) => blobKeyOf(artifactPrefix, machine, uploadId),
  };
}

/** Why a file is not kept, in words that continue "NAME is not kept: "; null when it is. */
export function artifactRefusal(limits: ArtifactLimits, offer: Omit<UploadOffer, "name">): string | null {
  const { sizeBytes, attempt, totalBytes } = offer;
  if (sizeBytes > limits.fileBytes) {
    return `it has ${formatBytes(sizeBytes)}, and a file may have ${formatBytes(limits.fileBytes)} (ARTIFACT_FILE_LIMIT_MB)`;
  }
  if (attempt.count >= artifactFilesMax) return `a job keeps at most ${artifactFilesMax} files`;
  if (attempt.bytes + sizeBytes > limits.jobBytes) {
    return `with its ${formatBytes(sizeBytes)} the job's artifacts would exceed ${formatBytes(limits.jobBytes)} (ARTIFACT_JOB_LIMIT_MB)`;
  }
  if (totalBytes + sizeBytes > limits.storeBytes) {
    return `with its ${formatBytes(sizeBytes)} all artifacts would exceed ${formatBytes(limits.storeBytes)} (ARTIFACT_STORE_LIMIT_MB)`;
  }
  return null;
}
