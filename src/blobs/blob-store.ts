import type { Readable } from "node:stream";

/** Key, size and time of a stored blob, available without reading the blob. */
export interface BlobFacts {
  readonly key: string;
  readonly sizeBytes: number;
  /** Time at which the blob became complete, in ms since the epoch by the store's clock. */
  readonly modifiedAt: number;
}

/** A blob that has just become complete. */
export interface WrittenBlob {
  readonly sizeBytes: number;
  /** SHA-256 (hex) of the blob. */
  readonly sha256: string;
}

/** Options of {@link BlobStore.write}. */
export interface WriteOptions {
  /** A longer stream throws `limit_exceeded`, and nothing is stored. */
  readonly limitBytes: number;
}

/**
 * Stores files of any length under keys: in a directory of this host, or in an S3-compatible bucket. One contract suite
 * (`testing/contract.ts`) runs on both.
 *
 * Keys come from Solstice, never from a user's text: see {@link checkBlobKey}. Readers see only complete blobs, which
 * never change; writing the same key again replaces the whole blob. At most one part (8 MiB) of a blob is in memory.
 * Errors: `disk_full`, `unavailable` (the bucket cannot be reached, or refuses access), `limit_exceeded`.
 */
export interface BlobStore {
  /** Location of the blobs, for people: a directory, or `s3://bucket/prefix`. */
  readonly place: string;
  /** True when every host with this configuration reads the same blobs; false when the blobs are on this host only. */
  readonly isShared: boolean;
  /** An existing directory of this host, for complete files that {@link BlobStore.adopt} will store. */
  readonly stagingDirectory: string;
  /** Stores a stream. Nothing is stored when the stream fails. */
  write(key: string, source: AsyncIterable<Uint8Array>, options: WriteOptions): Promise<WrittenBlob>;
  /**
   * Stores a complete file of {@link BlobStore.stagingDirectory}, by moving or copying, and removes the file. After an
   * error the file still exists, and the call can be repeated.
   */
  adopt(key: string, path: string): Promise<void>;
  /**
   * Returns the bytes from `offset` (default 0), or null when there is no such blob. The caller reads or destroys the
   * stream.
   */
  read(key: string, offset?: number): Promise<Readable | null>;
  /** Returns null when there is no such blob. */
  stat(key: string): Promise<BlobFacts | null>;
  /** Removes a blob. Idempotent. */
  remove(key: string): Promise<void>;
  /**
   * Lists every blob whose key begins with `prefix`, in no particular order. A blob stored or removed meanwhile may be
   * missing.
   */
  list(prefix: string): AsyncIterable<BlobFacts>;
  /** Removes the leftovers of interrupted writes that began before `before` (ms since the epoch). Returns their number. */
  removeLeftovers(before: number): Promise<number>;
  close(): void;
}

/** Size of a blob's part in memory, and of the parts of a multipart upload. */
export const blobPartBytes = 8 * 1024 * 1024;

const keyCharsMax = 500;

/**
 * Returns a valid key, or throws a TypeError. A key has words of lower-case letters, digits, dots, dashes and
 * underlines, each beginning with a letter or digit, joined by slashes. So a key cannot leave its directory, on any
 * file system.
 */
export function checkBlobKey(key: string): string {
  if (key.length <= keyCharsMax && /^[a-z0-9][a-z0-9._-]*(\/[a-z0-9][a-z0-9._-]*)*$/.test(key)) return key;
  throw new TypeError(`${JSON.stringify(key)} is not a valid blob key.`);
}
