import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { artifactKind, artifactPrefix } from "../../api/transfers/artifact-kind.ts";
import { hostBlobPrefix, uploadOfBlob } from "../../api/transfers/blob-keys.ts";
import { attemptOfStagedFile } from "../../api/transfers/staging.ts";
import type { BlobStore } from "../../blobs/blob-store.ts";
import { isActive } from "../../core/job-state.ts";
import { getJob } from "../../store/jobs.ts";
import type { AttemptKey } from "../../store/keys.ts";
import type { Store } from "../../store/store.ts";
import {
  expireUpload,
  getUpload,
  listKeptUploads,
  listUnfinishedUploads,
  type Upload,
} from "../../store/uploads.ts";

/** What belongs to one place where blobs lie. */
export interface FilePlace {
  readonly store: Store;
  readonly blobs: BlobStore;
  /** This host. */
  readonly hostId: string;
  /** The host that alone reads the blobs; null where all do. */
  readonly blobHostId: string | null;
}

/** Removes artifacts that became whole before `before`; their rows say since when they are gone. Returns how many. */
export async function removeOldArtifacts(place: FilePlace, before: number): Promise<number> {
  let removed = 0;
  for await (const upload of keptArtifacts(place, before)) {
    await place.blobs.remove(upload.blobKey);
    await expireUpload(place.store, { ...upload, at: Date.now() });
    removed += 1;
  }
  return removed;
}

/** Removes blobs of artifacts of this host's guests that no row names: their jobs are gone. Returns how many. */
export async function removeStrayArtifacts({ store, blobs, hostId }: FilePlace): Promise<number> {
  let removed = 0;
  for await (const { key } of blobs.list(hostBlobPrefix(artifactPrefix, hostId))) {
    // The row is older than the blob, so what is seen without one has none any more.
    const upload = await getUpload(store, uploadOfBlob(key));
    if (upload !== null && upload.expiredAt === null) continue;
    await blobs.remove(key);
    removed += 1;
  }
  return removed;
}

/** Notes of artifacts whose blob is gone that it is: a disk was restored, or somebody tidied up. Returns how many. */
export async function expireLostArtifacts(place: FilePlace): Promise<number> {
  const startedAt = Date.now();
  const present = new Set<string>();
  for await (const { key } of place.blobs.list(artifactPrefix)) present.add(key);
  let lost = 0;
  for await (const upload of keptArtifacts(place, startedAt)) {
    if (present.has(upload.blobKey) || (await place.blobs.stat(upload.blobKey)) !== null) continue;
    await expireUpload(place.store, { ...upload, at: Date.now() });
    lost += 1;
  }
  return lost;
}

/** Ends uploads that never became whole and whose attempt is over, with what is staged of them. Returns how many. */
export async function endUnfinishedUploads(place: FilePlace): Promise<number> {
  const { store, blobs } = place;
  let ended = 0;
  for (const upload of await listUnfinishedUploads(store, {
    kind: artifactKind,
    blobHostId: place.blobHostId,
  })) {
    if (await isUnderWay(store, upload)) continue;
    await expireUpload(store, { ...upload, at: Date.now() });
    ended += 1;
  }
  for (const name of await readdir(blobs.stagingDirectory)) {
    const attempt = attemptOfStagedFile(name);
    if (attempt === null || (await isUnderWay(store, attempt))) continue;
    await rm(join(blobs.stagingDirectory, name), { force: true });
    ended += 1;
  }
  return ended;
}

async function isUnderWay(store: Store, { jobId, attempt }: AttemptKey): Promise<boolean> {
  const job = await getJob(store, jobId);
  return job !== null && job.attempt === attempt && isActive(job.state);
}

async function* keptArtifacts({ store, blobHostId }: FilePlace, before: number): AsyncGenerator<Upload> {
  let after: Upload | null = null;
  do {
    const page: Upload[] = await listKeptUploads(store, { kind: artifactKind, blobHostId, before, after });
    yield* page;
    after = page.at(-1) ?? null;
  } while (after !== null);
}
