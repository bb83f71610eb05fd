import type { Machine } from "../../core/job/job.ts";
import type { UploadKey } from "../../store/files/uploads.ts";

/**
 * The prefix of blobs that one host's guests sent, below the prefix of their kind. A host searches for
 * orphans only there: in a shared bucket, unknown blobs may belong to another host.
 */
export function hostBlobPrefix(kindPrefix: string, hostId: string): string {
  // The random end of a host id distinguishes ids that differ only in case, which keys do not have.
  return `${kindPrefix}${hostId.toLowerCase()}/`;
}

/** The key of the blob for an upload of an attempt. */
export function blobKeyOf(
  kindPrefix: string,
  { hostId, jobId, attempt }: Pick<Machine, "hostId" | "jobId" | "attempt">,
  uploadId: string,
): string {
  return `${hostBlobPrefix(kindPrefix, hostId)}${jobId}/${attempt}/${uploadId}`;
}

/** The upload of a key made by {@link blobKeyOf}. For another key, an upload that does not exist. */
export function uploadOfBlob(key: string): UploadKey {
  const [, , jobId = "", attempt = "", id = ""] = key.split("/");
  return { jobId, attempt: Number(attempt), id };
}
