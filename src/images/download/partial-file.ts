import { createHash } from "node:crypto";
import { type FileHandle, open, readFile, rm } from "node:fs/promises";
import { z } from "zod";
import { makeDirectory } from "../../host/files/make-directory.ts";
import { writeFully } from "../formats/sparse-writer.ts";
import { writeFileAtomically } from "../image-facts.ts";
import { folderMode, type ImageFiles } from "../image-files.ts";

const stateSchema = z.object({
  /** SHA-256 of the URL: the URL may contain a password, which must not be stored. */
  sourceHash: z.string(),
  etag: z.string().nullable(),
  lastModified: z.string().nullable(),
  totalBytes: z.number().nullable(),
  /** Number of bytes that are safely on disk, even after a power failure. */
  syncedBytes: z.number(),
  isComplete: z.boolean(),
  /**
   * False when the server did not send the file's length: then a truncated file cannot be distinguished from a complete
   * one.
   */
  hasNamedLength: z.boolean().default(true),
});

type PartialState = z.output<typeof stateSchema>;

/** Identifies the version of the file that a server delivers. */
export interface RemoteVersion {
  readonly etag: string | null;
  readonly lastModified: string | null;
  readonly totalBytes: number | null;
}

/**
 * A download that survives a restart of this process and the host: the bytes, and a small JSON file with their source
 * and the number of trusted bytes. The caller holds the image's lock.
 */
export class PartialFile {
  readonly #files: ImageFiles;
  readonly #handle: FileHandle;
  #state: PartialState;
  #bytes: number;

  private constructor(files: ImageFiles, handle: FileHandle, state: PartialState) {
    this.#files = files;
    this.#handle = handle;
    this.#state = state;
    this.#bytes = state.syncedBytes;
  }

  /** Opens the existing part of `url`, or starts from zero when the part has another source. */
  static async open(files: ImageFiles, url: string): Promise<PartialFile> {
    makeDirectory(files.folder, folderMode);
    const handle = await openForUpdate(files.part);
    const sourceHash = createHash("sha256").update(url).digest("hex");
    const saved = await readState(files.partState);
    const { size } = await handle.stat();
    const isUsable = saved?.sourceHash === sourceHash && saved.syncedBytes <= size;
    const state = saved && isUsable ? saved : emptyState(sourceHash);
    await handle.truncate(state.syncedBytes);
    return new PartialFile(files, handle, state);
  }

  /** Bytes written so far: the offset for a resumed download. */
  get bytes(): number {
    return this.#bytes;
  }

  get isComplete(): boolean {
    return this.#state.isComplete;
  }

  get version(): RemoteVersion {
    return this.#state;
  }

  /** Bytes written since the last checkpoint. */
  get unsyncedBytes(): number {
    return this.#bytes - this.#state.syncedBytes;
  }

  /** Discards all bytes; the next ones are of `version`. */
  async restart(version: RemoteVersion): Promise<void> {
    await this.#handle.truncate(0);
    this.#bytes = 0;
    const { etag, lastModified, totalBytes } = version;
    const { sourceHash } = this.#state;
    const hasNamedLength = totalBytes !== null;
    const begun = { syncedBytes: 0, isComplete: false, hasNamedLength };
    await this.#save({ sourceHash, etag, lastModified, totalBytes, ...begun });
  }

  async append(chunk: Buffer): Promise<void> {
    await writeFully(this.#handle, chunk, this.#bytes);
    this.#bytes += chunk.length;
  }

  /** Makes all bytes so far survive a power failure. */
  async checkpoint(): Promise<void> {
    await this.#handle.datasync();
    await this.#save({ ...this.#state, syncedBytes: this.#bytes });
  }

  /** Marks the download as complete. */
  async complete(): Promise<void> {
    await this.checkpoint();
    await this.#save({ ...this.#state, totalBytes: this.#bytes, isComplete: true });
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #save(state: PartialState): Promise<void> {
    await writeFileAtomically(this.#files.partState, JSON.stringify(state));
    this.#state = state;
  }
}

/** Number of bytes of a complete download whose length the server did not send; else null. */
export async function bytesOfUnnamedLength(files: ImageFiles): Promise<number | null> {
  const state = await readState(files.partState);
  return state?.isComplete && !state.hasNamedLength ? state.syncedBytes : null;
}

/** Removes the downloaded part of an image. */
export async function removePartialFile(files: ImageFiles): Promise<void> {
  await rm(files.partState, { force: true });
  await rm(files.part, { force: true });
}

function emptyState(sourceHash: string): PartialState {
  const begun = { syncedBytes: 0, isComplete: false, hasNamedLength: false };
  return { sourceHash, etag: null, lastModified: null, totalBytes: null, ...begun };
}

async function openForUpdate(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r+");
  } catch {
    return await open(path, "w+", 0o600);
  }
}

async function readState(path: string): Promise<PartialState | null> {
  try {
    return stateSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return null;
  }
}
