import { isWantedArtifact } from "../../core/request/artifact-match.ts";
import { artifactsOf } from "../../core/request/artifacts.ts";
import type { JobRequest } from "../../core/request/job-request.ts";
import { formatBytes } from "../../host/files/disk-space.ts";
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

/** Longest name, in bytes: the list of all files of an attempt must fit into one answer. */
export const artifactNameBytes = 1024;

/** The name of the kind, and the word that the keys of its blobs begin with. */
export const artifactKind = "artifact";
export const artifactPrefix = "artifacts/";

/** Artifacts: files that a job keeps. Its guest says which; those that its request does not ask for are refused. */
export function createArtifactKind(limits: ArtifactLimits): UploadKind {
  return {
    refusal: ({ job }, offer) => nameRefusal(job.request, offer.nameBytes) ?? artifactRefusal(limits, offer),
    blobKey: ({ machine }, uploadId) => blobKeyOf(artifactPrefix, machine, uploadId),
  };
}

function nameRefusal(request: JobRequest, name: Uint8Array): string | null {
  if (name.byteLength > artifactNameBytes) {
    return `its name has ${name.byteLength} bytes, and a name may have ${artifactNameBytes}`;
  }
  return isWantedArtifact(name, artifactsOf(request))
    ? null
    : "no pattern of the request's artifacts names it";
}

/** Why a file is not kept, in words that continue "NAME is not kept: "; null when it is. */
export function artifactRefusal(
  limits: ArtifactLimits,
  offer: Omit<UploadOffer, "name" | "nameBytes">,
): string | null {
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
