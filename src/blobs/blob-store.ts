import type { Readable } from "node:stream";

/** What is known of a stored blob without reading it. */
export interface BlobFacts {
  readonly key: string;
  readonly sizeBytes: number;
  /** When it became whole, ms since the epoch by the clock of where it lies. */
  readonly modifiedAt: number;
}

/** A blob that has just become whole. */
export interface WrittenBlob {
  readonly sizeBytes: number;
  /** SHA-256 (hex) of its bytes. */
  readonly sha256: string;
}

/** How a stream is written. */
export interface WriteOptions {
  /** A stream that is longer throws `limit_exceeded`, and nothing is stored. */
  readonly limitBytes: number;
}

/**
 * Keeps files of any length under keys: in a directory of this host, or in an S3-compatible bucket. One contract suite
 * (`testing/contract.ts`) runs on both.
 *
 * A key is ours, never a user's text: see {@link checkBlobKey}. A blob is never seen before it is whole, and is not changed
 * afterwards; the same key again replaces it as a whole. Nothing holds more than one part (8 MiB) of a blob in memory.
 * Errors: `disk_full`, `unavailable` (the bucket cannot be reached, or refuses us), `limit_exceeded`.
 */
export interface BlobStore {
  /** Where the blobs lie, for people: a directory, or `s3://bucket/prefix`. */
  readonly place: string;
  /** True where every host that is configured alike reads the same blobs; false where they lie on this host alone. */
  readonly isShared: boolean;
  /** A directory of this host: whole files in it can be given to {@link BlobStore.adopt}. It exists. */
  readonly stagingDirectory: string;
  /** Stores a stream. When the stream fails, nothing is stored. */
  write(key: string, source: AsyncIterable<Uint8Array>, options: WriteOptions): Promise<WrittenBlob>;
  /**
   * Stores a whole file of {@link BlobStore.stagingDirectory}, which is gone afterwards: moved where that is possible, else
   * copied. When it throws, the file is still there, and the call can be repeated.
   */
  adopt(key: string, path: string): Promise<void>;
  /** The bytes from `offset` (0 when absent) on; null where there is no such blob. Whoever takes it reads or destroys it. */
  read(key: string, offset?: number): Promise<Readable | null>;
  /** Null where there is no such blob. */
  stat(key: string): Promise<BlobFacts | null>;
  /** Removes a blob; one that is not there is as well. */
  remove(key: string): Promise<void>;
  /** Every blob whose key begins with `prefix`, in no particular order. One that comes or goes meanwhile may be missing. */
  list(prefix: string): AsyncIterable<BlobFacts>;
  /** Removes what cut-off writes left that began before `before` (ms since the epoch). Returns how many there were. */
  removeLeftovers(before: number): Promise<number>;
  close(): void;
}

/** How much of a blob is held in memory, and the size of the parts of a multipart upload. */
export const blobPartBytes = 8 * 1024 * 1024;

const keyCharsMax = 500;

/**
 * Throws a TypeError for what is no key: words of lower-case letters, digits, dots, dashes and underlines that begin with a
 * letter or digit, joined by slashes. So no key leaves its directory, on any file system.
 */
export function checkBlobKey(key: string): string {
  if (key.length <= keyCharsMax && /^[a-z0-9][a-z0-9._-]*(\/[a-z0-9][a-z0-9._-]*)*$/.test(key)) return key;
  throw new TypeError(`${JSON.stringify(key)} is no key of a blob.`);
}
