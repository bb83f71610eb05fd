import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, readFile, rename, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { ImageDefinition } from "../core/image-map/image-map.ts";
import { makeDirectory } from "../host/files/make-directory.ts";
import { folderMode, imageFiles } from "./image-files.ts";

/** Facts about a file, valid while the file is unchanged. */
const factsSchema = z.object({
  /** Hex SHA-256. */
  digest: z.string(),
  /** Hex SHA-512, if one was required. */
  sha512: z.string().optional(),
  /** {@link listKey} of the checksum file that the file matches. */
  listKey: z.string().optional(),
  /** Subject of `digest`: the published bytes, or the file itself. */
  digestOf: z.enum(["published", "file"]),
  inode: z.number(),
  sizeBytes: z.number(),
  modifiedMs: z.number(),
});

/** See {@link factsSchema}. */
export type ImageFacts = z.output<typeof factsSchema>;

/** Returns the recorded facts about the image, or null when the present file has none. */
export async function loadFacts(definition: ImageDefinition, dataDir: string): Promise<ImageFacts | null> {
  const identity = await fileIdentity(definition.localPath);
  for (const path of factsPaths(definition, dataDir)) {
    const facts = await readFacts(path);
    if (facts && isAbout(facts, identity)) return facts;
  }
  return null;
}

/** True when the file at `localPath` was published by this program and has not changed since. */
export async function isPreparedByUs(localPath: string): Promise<boolean> {
  const facts = await readFacts(imageFiles(localPath).facts);
  const identity = await fileIdentity(localPath).catch(() => null);
  return facts?.digestOf === "published" && identity !== null && isAbout(facts, identity);
}

/** Facts about the file at `path` that {@link saveFacts} records. */
export interface NewFacts extends FileDigests {
  readonly path: string;
  readonly digestOf: ImageFacts["digestOf"];
  readonly listKey?: string;
}

/**
 * Records the digest of the file at `path`, which is the image or will be renamed to it (a rename keeps the file's
 * identity). Uses the data directory when the image's folder is not writable.
 */
export async function saveFacts(
  definition: ImageDefinition,
  dataDir: string,
  { path, ...newFacts }: NewFacts,
): Promise<void> {
  const facts = { ...newFacts, ...(await fileIdentity(path)) };
  const [beside, fallback] = factsPaths(definition, dataDir);
  await writeFileAtomically(beside, JSON.stringify(facts)).catch(() =>
    writeFileAtomically(fallback, JSON.stringify(facts)),
  );
}

/** Digests of one file, as hexadecimal digits. */
export interface FileDigests {
  /** SHA-256. */
  readonly digest: string;
  /** Present only if required. */
  readonly sha512?: string;
}

/** Options of {@link digestFile}. */
interface DigestOptions {
  readonly signal: AbortSignal;
  readonly withSha512: boolean;
  /** Called with the bytes read so far. */
  onRead(doneBytes: number): void;
}

/** Computes the digests of the file at `path`, which is read once, as a stream. */
export async function digestFile(
  path: string,
  { signal, withSha512, onRead }: DigestOptions,
): Promise<FileDigests> {
  const hash = createHash("sha256");
  const longHash = withSha512 ? createHash("sha512") : null;
  let doneBytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024, signal })) {
    hash.update(chunk);
    longHash?.update(chunk);
    doneBytes += chunk.length;
    onRead(doneBytes);
  }
  return { digest: hash.digest("hex"), ...(longHash && { sha512: longHash.digest("hex") }) };
}

/** Writes a small file atomically: readers get the old or the new text, never a part. */
export async function writeFileAtomically(path: string, text: string): Promise<void> {
  makeDirectory(dirname(path), folderMode);
  const temporary = `${path}.${process.pid}.tmp`;
  // Only the owner may write: a user who can write this file could fake an image's digest.
  await writeFile(temporary, text, { mode: 0o644 });
  await chmod(temporary, 0o644);
  await rename(temporary, path);
}

function factsPaths(definition: ImageDefinition, dataDir: string): [beside: string, fallback: string] {
  return [imageFiles(definition.localPath).facts, join(dataDir, "image-facts", `${definition.name}.json`)];
}

async function readFacts(path: string): Promise<ImageFacts | null> {
  try {
    return factsSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return null;
  }
}

type FileIdentity = Pick<ImageFacts, "inode" | "sizeBytes" | "modifiedMs">;

function isAbout(facts: ImageFacts, identity: FileIdentity): boolean {
  return (
    facts.inode === identity.inode &&
    facts.sizeBytes === identity.sizeBytes &&
    facts.modifiedMs === identity.modifiedMs
  );
}

async function fileIdentity(path: string): Promise<FileIdentity> {
  const { ino, size, mtimeMs } = await stat(path);
  return { inode: ino, sizeBytes: size, modifiedMs: mtimeMs };
}
