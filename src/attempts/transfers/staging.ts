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

/** What one append brings. */
export interface StagedBytes {
  readonly offset: number;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** The whole file's length: more is refused. */
  readonly sizeBytes: number;
}

interface RunningDigest {
  readonly hash: Hash;
  length: number;
}

/** The files that guests are sending, in a directory of the blob store. How much of one is there is its length. */
export class Staging {
  readonly #directory: string;
  /** Of files that were written from their beginning on by this process, oldest first. */
  readonly #digests = new Map<string, RunningDigest>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Where an upload's bytes lie. */
  pathOf({ jobId, attempt, id }: UploadKey): string {
    return join(this.#directory, `${jobId}.${attempt}.${id}`);
  }

  /** How much has come; null where nothing was begun. */
  async length(key: UploadKey): Promise<number | null> {
    try {
      return (await stat(this.pathOf(key))).size;
    } catch (error) {
      if (hasErrorCode(error, "ENOENT")) return null;
      throw error;
    }
  }

  /** Makes the file where it is missing, and returns how much is there. Throws `disk_full`. */
  async begin(key: UploadKey): Promise<number> {
    try {
      await using file = await open(this.pathOf(key), "a", 0o600);
      return (await file.stat()).size;
    } catch (error) {
      throw convertDiskFull(error, this.pathOf(key));
    }
  }

  /**
   * Adds bytes; those that are there are skipped. Returns the length from then on, which is what was there before when
   * the bytes begin beyond it. When the sender goes away in the middle, what came stays. Throws `disk_full`, and
   * `limit_exceeded` for more than one request may carry or the file has.
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

  /** SHA-256 (hex) of what is there. */
  async sha256(key: UploadKey, length: number): Promise<string> {
    const digest = this.#digests.get(this.pathOf(key));
    if (digest?.length === length) return digest.hash.copy().digest("hex");
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(this.pathOf(key))) hash.update(chunk as Buffer);
    return hash.digest("hex");
  }

  /** Forgets what has come of an upload. */
  async remove(key: UploadKey): Promise<void> {
    this.forgetDigest(key);
    await rm(this.pathOf(key), { force: true });
  }

  /** Gives back the memory of an upload that is over. */
  forgetDigest(key: UploadKey): void {
    this.#digests.delete(this.pathOf(key));
  }

  /** The digest that goes on at `length`; null where it would have to be computed from the file. */
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

/** The attempt that a staged file is of, by its name; null for a name that is not of our form. */
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
      remedy: "Begin the upload again with the size that the file has.",
    });
  }
}
