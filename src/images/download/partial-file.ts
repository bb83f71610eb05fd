import { createHash } from "node:crypto";
import { type FileHandle, open, readFile, rm } from "node:fs/promises";
import { z } from "zod";
import { makeDirectory } from "../../host/files/make-directory.ts";
import { writeFully } from "../formats/sparse-writer.ts";
import { writeFileAtomically } from "../image-facts.ts";
import { folderMode, type ImageFiles } from "../image-files.ts";

const stateSchema = z.object({
  /** SHA-256 of the URL: it may hold a password, which does not belong on disk. */
  sourceHash: z.string(),
  etag: z.string().nullable(),
  lastModified: z.string().nullable(),
  totalBytes: z.number().nullable(),
  /** So much of the file is on disk for sure, whatever the host went through. */
  syncedBytes: z.number(),
  isComplete: z.boolean(),
  /** False where the server did not name the file's length: one that was cut looks like a whole one. */
  hasNamedLength: z.boolean().default(true),
});

type PartialState = z.output<typeof stateSchema>;

/** What identifies the version of the file that a server delivers. */
export interface RemoteVersion {
  readonly etag: string | null;
  readonly lastModified: string | null;
  readonly totalBytes: number | null;
}

/**
 * A download that survives this process and the host: the bytes, and a small JSON that says of what they are and how
 * many can be trusted. Whoever uses it holds the image's lock.
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

  /** Opens what there is of `url`, or starts from zero when it is of something else. */
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

  /** Bytes written so far: where a resumed download goes on. */
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

  /** Forgets all bytes; the next are of `version`. */
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

  /** Says that nothing is missing. */
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

/** How many bytes lie here of a complete download whose length the server did not name; else null. */
export async function bytesOfUnnamedLength(files: ImageFiles): Promise<number | null> {
  const state = await readState(files.partState);
  return state?.isComplete && !state.hasNamedLength ? state.syncedBytes : null;
}

/** Removes what was downloaded of an image. */
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
