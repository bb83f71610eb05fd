import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { BlobStore } from "../../blobs/blob-store.ts";
import { SolsticeError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { KeyedQueue } from "../../http/limits/keyed-queue.ts";
import {
  beginUpload,
  getUpload,
  recordDigest,
  recordStored,
  sumStored,
  type Upload,
} from "../../store/files/uploads.ts";
import type { Store } from "../../store/store.ts";
import type { RunnerSession } from "../runner-sessions.ts";
import { Staging } from "./staging.ts";
import { type TransferKinds, transferLimits, type UploadKind } from "./transfer-kinds.ts";

/** The dependencies of {@link createTransfers}. */
export interface TransfersOptions {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly kinds: TransferKinds;
  /** This host's id, for blobs that only this host can read. */
  readonly hostId: string;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /**
   * The reason why nothing may be written to this host's disk now, in one sentence; null when writing is
   * allowed.
   */
  readonly diskProblem: () => string | null;
}

/** The state of an upload, as its guest receives it. */
export interface UploadProgress {
  readonly uploadId: string;
  /** Bytes received without a gap: the offset to continue from. */
  readonly received: number;
  /** True when the file is stored permanently. */
  readonly stored: boolean;
  /** The reason why the file is refused; empty when it is accepted. */
  readonly refusal: string;
}

/**
 * File transfers between guests and the blob store. Every call is idempotent, also after a crash and in
 * another process.
 */
export interface Transfers {
  readonly kinds: TransferKinds;
  readonly blobs: BlobStore;
  begin(
    session: RunnerSession,
    file: { readonly kind: string; readonly name: Uint8Array; readonly sizeBytes: number },
  ): Promise<UploadProgress>;
  append(
    session: RunnerSession,
    bytes: { readonly uploadId: string; readonly offset: number; readonly chunks: AsyncIterable<Uint8Array> },
  ): Promise<UploadProgress>;
  /**
   * `sha256` is empty when the guest cannot compute it. `stored` is false while the blob is still being
   * written.
   */
  finish(
    session: RunnerSession,
    file: { readonly uploadId: string; readonly sha256: string },
  ): Promise<UploadProgress>;
}

/** Makes the transfers of one host. */
export function createTransfers(options: TransfersOptions): Transfers {
  const { store, blobs, kinds, now } = options;
  const staging = new Staging(blobs.stagingDirectory);
  const queue = new KeyedQueue({
    perKey: transferLimits.requestsPerUpload,
    total: transferLimits.requestsTotal,
  });
  const commits = new Map<string, Promise<void>>();

  const commit = (upload: Upload): Promise<void> => {
    const path = staging.pathOf(upload);
    const running = commits.get(path);
    if (running) return running;
    const work = storeBlob(options, staging, upload).finally(() => commits.delete(path));
    commits.set(path, work);
    return work;
  };

  return {
    kinds,
    blobs,
    async begin(session, file) {
      const kind = kinds.uploads[file.kind];
      if (kind === undefined) throw new SolsticeError("usage", `There are no uploads of kind ${file.kind}.`);
      refuseFinished(session);
      const name = parseName(file.name);
      refuseFullDisk(options);
      const id = uploadIdOf(file);
      const key = { jobId: session.machine.jobId, attempt: session.machine.attempt, id };
      const blobHostId = blobs.isShared ? null : options.hostId;
      const totalBytes = await sumStored(store, file.kind, blobHostId);
      let refusal: string | null = null;
      const offer = { ...key, kind: file.kind, name, sizeBytes: file.sizeBytes, blobHostId, begunAt: now() };
      const begun = await beginUpload(store, { ...offer, blobKey: kind.blobKey(session, id) }, (attempt) => {
        const { name: nameBytes, sizeBytes } = file;
        refusal = kind.refusal(session, { name, nameBytes, sizeBytes, attempt, totalBytes });
        return refusal === null;
      });
      if (begun === null) return { uploadId: id, received: 0, stored: false, refusal: refusal ?? "" };
      const { upload, isNew } = begun;
      if (upload.storedAt !== null) return storedAlready(upload, file.sizeBytes);
      return queue.run(id, async () => {
        if (isNew) await staging.remove(upload);
        const received = await staging.begin(upload);
        return { uploadId: id, received, stored: false, refusal: "" };
      });
    },
    async append(session, { uploadId, offset, chunks }) {
      refuseFinished(session);
      return queue.run(uploadId, async () => {
        const upload = await findUpload(store, session, uploadId);
        if (upload.storedAt !== null) return progress(upload, upload.sizeBytes);
        refuseFullDisk(options);
        if ((await staging.length(upload)) === null) return progress(upload, 0);
        return progress(
          upload,
          await staging.append(upload, { offset, chunks, sizeBytes: upload.sizeBytes }),
        );
      });
    },
    async finish(session, { uploadId, sha256 }) {
      refuseFinished(session);
      const guestDigest = parseSha256(sha256);
      return queue.run(uploadId, async () => {
        const upload = await findUpload(store, session, uploadId);
        if (upload.storedAt !== null) return progress(upload, upload.sizeBytes);
        const whole = await proveWhole(options, staging, { upload, guestDigest });
        if (typeof whole === "number") return progress(upload, whole);
        const end = new AbortController();
        const waited = delay(transferLimits.finishWaitMs, false, { signal: end.signal });
        const stored = await Promise.race([commit(whole).then(() => true), waited]).finally(() =>
          end.abort(),
        );
        return { uploadId, received: upload.sizeBytes, stored, refusal: "" };
      });
    },
  };
}

/**
 * Records the digest of an upload and returns it; when bytes are missing or damaged, returns how many can be
 * kept.
 */
async function proveWhole(
  { store, blobs, log }: TransfersOptions,
  staging: Staging,
  { upload, guestDigest }: { upload: Upload; guestDigest: string | null },
): Promise<Upload | number> {
  const length = await staging.length(upload);
  if (length === null) {
    // A process crashed after the file had become a blob, and before the store recorded that.
    const blob = upload.sha256 === null ? null : await blobs.stat(upload.blobKey);
    return blob?.sizeBytes === upload.sizeBytes ? upload : staging.begin(upload);
  }
  if (length < upload.sizeBytes) return length;
  const sha256 = await staging.sha256(upload, length);
  if (guestDigest !== null && guestDigest !== sha256) {
    const { jobId, attempt, id } = upload;
    log.warn(
      { jobId, attempt, uploadId: id },
      "upload digest differs from the guest's: requesting the file again",
    );
    await staging.remove(upload);
    return staging.begin(upload);
  }
  await recordDigest(store, { ...upload, sha256 });
  return { ...upload, sha256 };
}

async function storeBlob(options: TransfersOptions, staging: Staging, upload: Upload): Promise<void> {
  const { store, blobs, kinds, now } = options;
  if ((await staging.length(upload)) !== null) await blobs.adopt(upload.blobKey, staging.pathOf(upload));
  staging.forgetDigest(upload);
  const at = now();
  const kind: UploadKind | undefined = kinds.uploads[upload.kind];
  await recordStored(store, { ...upload, at }, async (trx) => {
    await kind?.record?.(trx, { ...upload, storedAt: at });
  });
}

async function findUpload(store: Store, { machine }: RunnerSession, id: string): Promise<Upload> {
  const { jobId, attempt } = machine;
  const upload = await getUpload(store, { jobId, attempt, id });
  if (upload !== null) return upload;
  throw new SolsticeError("not_found", "This attempt has no such upload.", {
    remedy: "Begin it with BeginUpload; it returns the id.",
  });
}

function progress(upload: Upload, received: number): UploadProgress {
  return { uploadId: upload.id, received, stored: upload.storedAt !== null, refusal: "" };
}

function storedAlready(upload: Upload, sizeBytes: number): UploadProgress {
  const refusal =
    upload.sizeBytes === sizeBytes ? "" : "a file of this name with another length is already stored";
  return { ...progress(upload, upload.sizeBytes), refusal };
}

/** Makes the id of a file: the same for the same file of the same attempt, in every process. */
function uploadIdOf({ kind, name }: { kind: string; name: Uint8Array }): string {
  return createHash("sha256").update(`${kind}\0`).update(name).digest("hex").slice(0, 32);
}

/** Converts a name of any bytes to text; invalid UTF-8 becomes U+FFFD. */
function parseName(bytes: Uint8Array): string {
  const { nameBytes } = transferLimits;
  if (bytes.byteLength >= 1 && bytes.byteLength <= nameBytes && !bytes.includes(0)) {
    return new TextDecoder().decode(bytes);
  }
  throw new SolsticeError("usage", `name must be 1 to ${nameBytes} bytes without NUL.`);
}

function parseSha256(text: string): string | null {
  const sha256 = text.toLowerCase();
  if (/^(0{64})?$/.test(sha256)) return null;
  if (/^[0-9a-f]{64}$/.test(sha256)) return sha256;
  throw new SolsticeError("usage", "sha256 must be 64 hexadecimal digits, or empty.");
}

function refuseFinished({ machine }: RunnerSession): void {
  if (machine.runnerFinishedAt === null) return;
  throw new SolsticeError("conflict", "The runner already called Finish; this attempt accepts no more data.");
}

function refuseFullDisk({ diskProblem }: TransfersOptions): void {
  const problem = diskProblem();
  if (problem !== null) throw new SolsticeError("disk_full", problem);
}
