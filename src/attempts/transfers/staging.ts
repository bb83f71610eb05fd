import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { SolsticeError } from "../../core/errors.ts";
import { hasErrorCode } from "../../host/error-code.ts";
import { convertDiskFull } from "../../host/files/disk-full.ts";
import { writeWhole } from "../../host/files/write-whole.ts";
import type { UploadKey } from "../../store/files/uploads.ts";
import type { AttemptKey } from "../../store/keys.ts";
import { transferLimits } from "./transfer-kinds.ts";

/** The bytes of one append. */
export interface StagedBytes {
  readonly offset: number;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** The length of the whole file; more bytes are refused. */
  readonly sizeBytes: number;
}

interface RunningDigest {
  readonly hash: Hash;
  length: number;
}

/**
 * The files that guests are sending, in a directory of the blob store. The length of a staged file is the
 * number of bytes received.
 */
export class Staging {
  readonly #directory: string;
  /** Digests of files that this process has written from their beginning, oldest first. */
  readonly #digests = new Map<string, RunningDigest>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** The path of an upload's staged bytes. */
  pathOf({ jobId, attempt, id }: UploadKey): string {
    return join(this.#directory, `${jobId}.${attempt}.${id}`);
  }

  /** The number of bytes received; null when the upload has not begun. */
  async length(key: UploadKey): Promise<number | null> {
    try {
      return (await stat(this.pathOf(key))).size;
    } catch (error) {
      if (hasErrorCode(error, "ENOENT")) return null;
      throw error;
    }
  }

  /** Creates the file if it is missing, and returns the number of bytes received. Throws `disk_full`. */
  async begin(key: UploadKey): Promise<number> {
    try {
      await using file = await open(this.pathOf(key), "a", 0o600);
      return (await file.stat()).size;
    } catch (error) {
      throw convertDiskFull(error, this.pathOf(key));
    }
  }

  /**
   * Adds bytes, and skips those already received. Returns the new length, which is unchanged when the bytes
   * begin beyond it. When the sender disconnects, the bytes received so far are kept. Throws `disk_full`, and
   * `limit_exceeded` for more bytes than one request may carry or the file has.
   */
  async append(key: UploadKey, bytes: StagedBytes): Promise<number> {
    try {
      await using file = await open(this.pathOf(key), "r+");
      const { size } = await file.stat();
      if (bytes.offset > size) return size;
      return await this.#write(file, key, { ...bytes, present: size });
    } catch (error) {
      throw convertDiskFull(error, this.pathOf(key));
    }
  }

  async #write(file: FileHandle, key: UploadKey, bytes: StagedBytes & { present: number }): Promise<number> {
    let length = bytes.present;
    let at = bytes.offset;
    const digest = this.#digestAt(key, length);
    for await (const chunk of bytes.chunks) {
      const fresh = chunk.subarray(Math.min(chunk.byteLength, length - at));
      at += chunk.byteLength;
      refuseTooMuch(at, bytes);
      if (fresh.byteLength === 0) continue;
      await writeWhole(file, fresh, length);
      length += fresh.byteLength;
      if (digest) {
        digest.hash.update(fresh);
        digest.length = length;
      }
    }
    return length;
  }

  /** SHA-256 (hex) of the bytes received. */
  async sha256(key: UploadKey, length: number): Promise<string> {
    const digest = this.#digests.get(this.pathOf(key));
    if (digest?.length === length) return digest.hash.copy().digest("hex");
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(this.pathOf(key))) hash.update(chunk as Buffer);
    return hash.digest("hex");
  }

  /** Removes the staged bytes of an upload. */
  async remove(key: UploadKey): Promise<void> {
    this.forgetDigest(key);
    await rm(this.pathOf(key), { force: true });
  }

  /** Frees the memory of an upload that has ended. */
  forgetDigest(key: UploadKey): void {
    this.#digests.delete(this.pathOf(key));
  }

  /** The running digest at `length`; null when it would have to be computed from the file. */
  #digestAt(key: UploadKey, length: number): RunningDigest | null {
    const path = this.pathOf(key);
    const kept = this.#digests.get(path);
    if (kept?.length === length) return kept;
    this.#digests.delete(path);
    if (length > 0) return null;
    const oldest = this.#digests.keys().next();
    if (this.#digests.size >= transferLimits.digestsKept && !oldest.done) this.#digests.delete(oldest.value);
    const digest = { hash: createHash("sha256"), length: 0 };
    this.#digests.set(path, digest);
    return digest;
  }
}

/** The attempt of a staged file, parsed from its name; null for a name of another form. */
export function attemptOfStagedFile(name: string): AttemptKey | null {
  const match = /^([0-9a-z]{1,40})\.(\d{1,9})\.[0-9a-f]{32}$/.exec(name);
  return match?.[1] === undefined ? null : { jobId: match[1], attempt: Number(match[2]) };
}

function refuseTooMuch(end: number, { offset, sizeBytes }: StagedBytes): void {
  if (end - offset > transferLimits.requestBytes) {
    throw new SolsticeError(
      "limit_exceeded",
      `One request carries at most ${transferLimits.requestBytes} bytes.`,
    );
  }
  if (end > sizeBytes) {
    throw new SolsticeError("limit_exceeded", `The file has ${sizeBytes} bytes; more were sent.`, {
      remedy: "Begin the upload again with the actual size of the file.",
    });
  }
}
