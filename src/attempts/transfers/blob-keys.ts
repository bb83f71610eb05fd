import type { Machine } from "../../core/job/job.ts";
import type { UploadKey } from "../../store/files/uploads.ts";

/**
 * Where the blobs lie that one host's guests sent, below the prefix of their kind. A host looks for strays there and nowhere
 * else: in a bucket that several share, what it does not know may well be somebody else's.
 */
export function hostBlobPrefix(kindPrefix: string, hostId: string): string {
  // The random end of a host's id tells apart what differs only in case, which keys do not have.
  return `${kindPrefix}${hostId.toLowerCase()}/`;
}

/** The key of the blob that an upload of an attempt becomes. */
export function blobKeyOf(
  kindPrefix: string,
  { hostId, jobId, attempt }: Pick<Machine, "hostId" | "jobId" | "attempt">,
  uploadId: string,
): string {
  return `${hostBlobPrefix(kindPrefix, hostId)}${jobId}/${attempt}/${uploadId}`;
}

/** The upload whose blob has a key of {@link blobKeyOf}; of another key, one that does not exist. */
export function uploadOfBlob(key: string): UploadKey {
  const [, , jobId = "", attempt = "", id = ""] = key.split("/");
  return { jobId, attempt: Number(attempt), id };
}
