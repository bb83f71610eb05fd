import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { artifactKind, artifactPrefix } from "../../attempts/transfers/artifact-kind.ts";
import { hostBlobPrefix, uploadOfBlob } from "../../attempts/transfers/blob-keys.ts";
import { attemptOfStagedFile } from "../../attempts/transfers/staging.ts";
import { isActive } from "../../core/job/job-state.ts";
import {
  expireUpload,
  getUpload,
  listKeptUploads,
  listUnfinishedUploads,
  type Upload,
} from "../../store/files/uploads.ts";
import { getJob } from "../../store/jobs/jobs.ts";
import type { AttemptKey } from "../../store/keys.ts";
import type { Store } from "../../store/store.ts";
import type { Stray, SweepPlace } from "./sweep-place.ts";

/**
 * Removes the bytes of artifacts that were completed before `before`; the records stay, with the time of removal. Returns the
 * number of removed artifacts.
 */
export async function removeOldArtifacts(place: SweepPlace, before: number): Promise<number> {
  let removed = 0;
  for await (const upload of keptArtifacts(place, before)) {
    await place.blobs.remove(upload.blobKey);
    await expire(place, upload);
    removed += 1;
  }
  return removed;
}

/** Blobs of artifacts from this host's guests without a record: their jobs were removed. */
export async function* findStrayArtifacts({ store, blobs, hostId }: SweepPlace): AsyncGenerator<Stray> {
  for await (const { key } of blobs.list(hostBlobPrefix(artifactPrefix, hostId))) {
    // The record is older than the blob, so a blob without a record has lost it.
    const upload = await getUpload(store, uploadOfBlob(key));
    if (upload !== null && upload.expiredAt === null) continue;
    yield {
      kind: "artifact_without_record",
      name: key,
      jobId: uploadOfBlob(key).jobId,
      cause: `An artifact blob in ${blobs.place} has no record in the store: the process that removed its job or its record ended before it removed the blob.`,
      remedy: "remove",
      repair: async () => {
        await blobs.remove(key);
        return true;
      },
    };
  }
}

/**
 * Artifacts that are recorded as stored, but whose blob is missing: a disk was restored, or a person removed
 * the file.
 */
export async function* findLostArtifacts(place: SweepPlace): AsyncGenerator<Stray> {
  const startedAt = Date.now();
  const present = new Set<string>();
  for await (const { key } of place.blobs.list(artifactPrefix)) present.add(key);
  for await (const upload of keptArtifacts(place, startedAt)) {
    if (present.has(upload.blobKey) || (await place.blobs.stat(upload.blobKey)) !== null) continue;
    yield {
      kind: "artifact_without_blob",
      name: upload.name,
      jobId: upload.jobId,
      cause: `Attempt ${upload.attempt} stored this artifact, but its blob (${upload.blobKey}) is not in ${place.blobs.place}: a disk was restored from an older copy, or a person removed the file. The repair records the artifact as expired.`,
      remedy: "finish",
      repair: () => expire(place, upload),
    };
  }
}

/** Incomplete uploads of ended attempts, with their staged files. */
export async function* findUnfinishedUploads(place: SweepPlace): AsyncGenerator<Stray> {
  const { store, blobs } = place;
  const uploads = await listUnfinishedUploads(store, { kind: artifactKind, blobHostId: place.blobHostId });
  for (const upload of uploads) {
    if (await isUnderWay(store, upload)) continue;
    yield {
      kind: "unfinished_upload",
      name: upload.name,
      jobId: upload.jobId,
      cause: `Attempt ${upload.attempt} ended before it had sent this artifact completely. Until the record is finished, its ${upload.sizeBytes} bytes count toward the limit of all artifacts.`,
      remedy: "finish",
      repair: () => expire(place, upload),
    };
  }
  for (const name of await readdir(blobs.stagingDirectory)) {
    const attempt = attemptOfStagedFile(name);
    if (attempt === null || (await isUnderWay(store, attempt))) continue;
    yield stagedFile(join(blobs.stagingDirectory, name), attempt);
  }
}

function stagedFile(path: string, { jobId, attempt }: AttemptKey): Stray {
  return {
    kind: "stale_temporary_file",
    name: path,
    jobId,
    cause: `The staged part of a file that attempt ${attempt} did not send completely; that attempt has ended.`,
    remedy: "remove",
    repair: async () => {
      await rm(path, { force: true });
      return true;
    },
  };
}

async function expire({ store }: SweepPlace, upload: Upload): Promise<true> {
  await expireUpload(store, { ...upload, at: Date.now() });
  return true;
}

async function isUnderWay(store: Store, { jobId, attempt }: AttemptKey): Promise<boolean> {
  const job = await getJob(store, jobId);
  return job !== null && job.attempt === attempt && isActive(job.state);
}

async function* keptArtifacts({ store, blobHostId }: SweepPlace, before: number): AsyncGenerator<Upload> {
  let after: Upload | null = null;
  do {
    const page: Upload[] = await listKeptUploads(store, { kind: artifactKind, blobHostId, before, after });
    yield* page;
    after = page.at(-1) ?? null;
  } while (after !== null);
}
