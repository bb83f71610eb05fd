import type { Transaction } from "kysely";
import type { Upload, UploadSum } from "../../store/files/uploads.ts";
import type { Database } from "../../store/schema/schema.ts";
import type { RunnerSession } from "../runner-sessions.ts";

/** A file that a guest offers to send. */
export interface UploadOffer {
  /** The name that the guest gave, at most {@link transferLimits.nameBytes} long: metadata, never a path. */
  readonly name: string;
  /** The name as received. */
  readonly nameBytes: Uint8Array;
  readonly sizeBytes: number;
  /** The files of this kind that this attempt has sent or is sending. */
  readonly attempt: UploadSum;
  /** Bytes of all files of this kind in the same store, including finished files of other jobs. */
  readonly totalBytes: number;
}

/**
 * The rules for files of one kind: who may send them, how large they may be, and how they are recorded.
 * Artifacts are one kind (`artifact-kind.ts`); each part that accepts files of guests defines its own.
 */
export interface UploadKind {
  /**
   * The reason why a file is refused, in one sentence for the job's log; null when it is accepted. Called in
   * the transaction that records the upload, so it decides from its arguments and does not read.
   */
  refusal(session: RunnerSession, offer: UploadOffer): string | null;
  /** The key of the blob, unique for each upload. Begins with the prefix of the kind. */
  blobKey(session: RunnerSession, uploadId: string): string;
  /**
   * Writes additional records for the upload, in the transaction that records its blob as complete. Called
   * once.
   */
  record?(trx: Transaction<Database>, upload: Upload): Promise<void>;
}

/** A blob that a guest may read. */
export interface DownloadGrant {
  readonly blobKey: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** Finds the blob that a guest may read under an id of this kind; null when it may read no such blob. */
export type FindDownload = (session: RunnerSession, id: string) => Promise<DownloadGrant | null>;

/** The kinds of uploads and downloads by name: a word of lower-case letters. */
export interface TransferKinds {
  readonly uploads: Readonly<Record<string, UploadKind>>;
  readonly downloads: Readonly<Record<string, FindDownload>>;
}

/** Limits of uploads and downloads. */
export const transferLimits = {
  /** Maximum length of a path in a guest, in bytes. */
  nameBytes: 4096,
  /** Maximum bytes of one POST or AppendUpload. */
  requestBytes: 16 * 1024 * 1024,
  /** Maximum number of requests that may wait or run at the same time, of one upload and of all. */
  requestsPerUpload: 4,
  requestsTotal: 64,
  /** Maximum number of running digests in memory; for further files, the file is read again at its end. */
  digestsKept: 256,
  /** Maximum time that FinishUpload waits for the blob before it answers `stored: false`, in ms. */
  finishWaitMs: 20_000,
} as const;
