import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { cacheBlobPrefix } from "../../../attempts/caches/cache-kind.ts";
import { artifactPrefix } from "../../../attempts/transfers/artifact-kind.ts";
import { blobKeyOf } from "../../../attempts/transfers/blob-keys.ts";
import type { BlobStore } from "../../../blobs/blob-store.ts";
import { openDirectoryStore } from "../../../blobs/directory-store.ts";
import { inPieces } from "../../../blobs/testing/contract.ts";
import { cacheLookups } from "../../../core/cache/lookup.ts";
import { restoreCache, saveCacheEntryWithin } from "../../../store/files/caches.ts";
import { beginUpload, getUpload, recordDigest, recordStored } from "../../../store/files/uploads.ts";
import { openSqliteStore, type Store } from "../../../store/store.ts";
import { hostId } from "../../../store/testing/sample-jobs.ts";

/** The id of an upload. */
export const idOf = (letter: string) => letter.repeat(32);

/** A host with blobs in a directory, whose jobs keep files and save caches on it. */
export async function openBlobHost(t: TestContext) {
  const dataDir = mkdtempSync(join(tmpdir(), "solstice-files-"));
  const store = await openSqliteStore({ path: join(dataDir, "solstice.db") });
  const blobs = await openDirectoryStore(join(dataDir, "files"));
  t.after(async () => {
    await store.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const write = (key: string) => blobs.write(key, inPieces(Buffer.from("x")), { limitBytes: 9 });
  const place: Place = { store, blobs, write };
  return { store, blobs, write, ...artifactsOf(place), ...cachesOf(place) };
}

interface Place {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly write: (key: string) => Promise<unknown>;
}

function artifactsOf({ store, blobs, write }: Place) {
  const keyOf = (jobId: string, letter: string, of = hostId) =>
    blobKeyOf(artifactPrefix, { hostId: of, jobId, attempt: 1 }, idOf(letter));
  const begin = (jobId: string, letter: string) => {
    const names = { jobId, attempt: 1, id: idOf(letter), kind: "artifact", name: letter };
    const where = { blobKey: keyOf(jobId, letter), blobHostId: hostId };
    return beginUpload(store, { ...names, ...where, sizeBytes: 1, begunAt: 1 }, () => true);
  };
  const keep = async (jobId: string, letter: string, at: number) => {
    await begin(jobId, letter);
    await recordDigest(store, { jobId, attempt: 1, id: idOf(letter), sha256: "x" });
    await write(keyOf(jobId, letter));
    await recordStored(store, { jobId, attempt: 1, id: idOf(letter), at }, async () => {});
  };
  const expiredAt = async (jobId: string, letter: string) =>
    (await getUpload(store, { jobId, attempt: 1, id: idOf(letter) }))?.expiredAt;
  const isThere = async (jobId: string, letter: string) => (await blobs.stat(keyOf(jobId, letter))) !== null;
  return { keyOf, begin, keep, expiredAt, isThere };
}

function cachesOf({ store, write }: Place) {
  const cacheKeyOf = (jobId: string, letter: string, of = hostId) =>
    blobKeyOf(cacheBlobPrefix, { hostId: of, jobId, attempt: 1 }, idOf(letter));
  const bucket = {
    scope: { repository: "https://h/a", image: "debian-12", ref: "main" },
    pathsId: "paths",
    place: hostId,
  };
  /** A running job saves an entry, whose id and key are the letter. */
  const saveCache = async (jobId: string, letter: string, at: number) => {
    const blobKey = cacheKeyOf(jobId, letter);
    await write(blobKey);
    const content = { sizeBytes: 1, sha256: "x", compression: "zstd", firstPartBytes: 1 } as const;
    const entry = { jobId, attempt: 1, index: 0, id: letter, bucket, key: letter, blobKey, at, ...content };
    await store.write((trx) => saveCacheEntryWithin(trx, entry));
  };
  /** A running job restores an entry. */
  const useCache = (jobId: string, letter: string, at: number) =>
    restoreCache(store, {
      ...{ jobId, attempt: 1, index: 0, bucket, refs: ["main"], lookups: cacheLookups(letter, []), at },
    });
  return { cacheKeyOf, saveCache, useCache };
}
