import type { Transaction } from "kysely";
import type { Upload, UploadSum } from "../../store/files/uploads.ts";
import type { Database } from "../../store/schema/schema.ts";
import type { RunnerSession } from "../runner-sessions.ts";

/** A file that a guest wants to send. */
export interface UploadOffer {
  /** As the guest names it, at most {@link transferLimits.nameBytes} long: metadata, never a path. */
  readonly name: string;
  /** The name as it came. */
  readonly nameBytes: Uint8Array;
  readonly sizeBytes: number;
  /** What this attempt has sent of this kind, or sends. */
  readonly attempt: UploadSum;
  /** What all files of this kind take where this one would go, finished ones of other jobs included. */
  readonly totalBytes: number;
}

/**
 * What files of one kind are for: who may send them, how large they may be, and what becomes of them. Artifacts are one
 * kind (`artifact-kind.ts`); each part that takes files of guests brings its own.
 */
export interface UploadKind {
  /**
   * Why a file is not taken, in one sentence for the log of the job, or null when it is. Asked inside the transaction that
   * writes the upload down, so it decides by what it is given, and does not read.
   */
  refusal(session: RunnerSession, offer: UploadOffer): string | null;
  /** The key that the blob gets. Different uploads never share one. Begins with a word that is the kind's own. */
  blobKey(session: RunnerSession, uploadId: string): string;
  /** Writes what is to be on record beside the upload, in the transaction that records its blob as whole. Called once. */
  record?(trx: Transaction<Database>, upload: Upload): Promise<void>;
}

/** A blob that a guest may read. */
export interface DownloadGrant {
  readonly blobKey: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** Finds what a guest may read under an id of the kind's own; null where there is none for it, or it must not. */
export type FindDownload = (session: RunnerSession, id: string) => Promise<DownloadGrant | null>;

/** What can be sent and fetched, by the name of its kind: a word of lower-case letters. */
export interface TransferKinds {
  readonly uploads: Readonly<Record<string, UploadKind>>;
  readonly downloads: Readonly<Record<string, FindDownload>>;
}

/** Named limits of what guests send and fetch. */
export const transferLimits = {
  /** A path in a guest is at most this long, in bytes. */
  nameBytes: 4096,
  /** One POST or AppendUpload carries no more, in bytes. */
  requestBytes: 16 * 1024 * 1024,
  /** Requests of one upload, and of all, that may wait or run at a time. */
  requestsPerUpload: 4,
  requestsTotal: 64,
  /** Digests of files under way that are held in memory; of more, the file is read again at its end. */
  digestsKept: 256,
  /** How long FinishUpload waits for the blob before it answers that it is not there yet, in ms. */
  finishWaitMs: 20_000,
} as const;
