import { isWantedArtifact } from "../../core/request/artifact-match.ts";
import { artifactsOf } from "../../core/request/artifacts.ts";
import type { JobRequest } from "../../core/request/job-request.ts";
import { formatBytes } from "../../host/files/disk-space.ts";
import { blobKeyOf } from "./blob-keys.ts";
import type { UploadKind, UploadOffer } from "./transfer-kinds.ts";

/** Size limits of artifacts, in bytes. */
export interface ArtifactLimits {
  readonly fileBytes: number;
  /** All artifacts of one attempt. */
  readonly jobBytes: number;
  /** All stored artifacts: on this host, or in the bucket. */
  readonly storeBytes: number;
}

/** Maximum number of files of one attempt. */
export const artifactFilesMax = 2000;

/** Maximum length of a name, in bytes: the list of all files of an attempt must fit into one answer. */
export const artifactNameBytes = 1024;

/** The name of the artifact kind, and the prefix of the keys of its blobs. */
export const artifactKind = "artifact";
export const artifactPrefix = "artifacts/";

/**
 * Artifacts: files that a job keeps. Its guest names them; files that the job's request does not name are
 * refused.
 */
export function createArtifactKind(limits: ArtifactLimits): UploadKind {
  return {
    refusal: ({ job }, offer) => nameRefusal(job.request, offer.nameBytes) ?? artifactRefusal(limits, offer),
    blobKey: ({ machine }, uploadId) => blobKeyOf(artifactPrefix, machine, uploadId),
  };
}

function nameRefusal(request: JobRequest, name: Uint8Array): string | null {
  if (name.byteLength > artifactNameBytes) {
    return `its name has ${name.byteLength} bytes, more than the limit of ${artifactNameBytes}`;
  }
  return isWantedArtifact(name, artifactsOf(request))
    ? null
    : "no artifact pattern of the request matches its name";
}

/** The reason why a file is refused, as a continuation of "NAME is not kept: "; null when it is accepted. */
export function artifactRefusal(
  limits: ArtifactLimits,
  offer: Omit<UploadOffer, "name" | "nameBytes">,
): string | null {
  const { sizeBytes, attempt, totalBytes } = offer;
  if (sizeBytes > limits.fileBytes) {
    return `it has ${formatBytes(sizeBytes)}, more than the limit of ${formatBytes(limits.fileBytes)} (ARTIFACT_FILE_LIMIT_MB)`;
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
