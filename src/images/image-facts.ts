import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, readFile, rename, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { ImageDefinition } from "../core/image-map/image-map.ts";
import { makeDirectory } from "../host/files/make-directory.ts";
import { folderMode, imageFiles } from "./image-files.ts";

/** What was once found out about a file, and stays true while it is the same file. */
const factsSchema = z.object({
  /** Hex SHA-256. */
  digest: z.string(),
  /** Hex SHA-512, where one was asked for. */
  sha512: z.string().optional(),
  /** {@link listKey} of the file of checksums that it was found right by. */
  listKey: z.string().optional(),
  /** Whether `digest` is of the published bytes, or of the file itself. */
  digestOf: z.enum(["published", "file"]),
  inode: z.number(),
  sizeBytes: z.number(),
  modifiedMs: z.number(),
});

/** See {@link factsSchema}. */
export type ImageFacts = z.output<typeof factsSchema>;

/** The remembered facts about the image, or null when there are none about the file as it is now. */
export async function loadFacts(definition: ImageDefinition, dataDir: string): Promise<ImageFacts | null> {
  const identity = await fileIdentity(definition.localPath);
  for (const path of factsPaths(definition, dataDir)) {
    const facts = await readFacts(path);
    if (facts && isAbout(facts, identity)) return facts;
  }
  return null;
}

/** True when the file at `localPath` is there as this program published it, and nobody replaced or changed it since. */
export async function isPreparedByUs(localPath: string): Promise<boolean> {
  const facts = await readFacts(imageFiles(localPath).facts);
  const identity = await fileIdentity(localPath).catch(() => null);
  return facts?.digestOf === "published" && identity !== null && isAbout(facts, identity);
}

/** What {@link saveFacts} remembers of the file at `path`. */
export interface KnownFacts extends FileDigests {
  readonly path: string;
  readonly digestOf: ImageFacts["digestOf"];
  readonly listKey?: string;
}

/**
 * Remembers the digest of the file at `path`, which is the image or is about to be renamed to it (a rename keeps what
 * identifies the file). Where the image's folder may not be written the data directory serves.
 */
export async function saveFacts(
  definition: ImageDefinition,
  dataDir: string,
  { path, ...known }: KnownFacts,
): Promise<void> {
  const facts = { ...known, ...(await fileIdentity(path)) };
  const [beside, fallback] = factsPaths(definition, dataDir);
  await writeFileAtomically(beside, JSON.stringify(facts)).catch(() =>
    writeFileAtomically(fallback, JSON.stringify(facts)),
  );
}

/** Digests of one file, as hexadecimal digits. */
export interface FileDigests {
  /** SHA-256. */
  readonly digest: string;
  /** Only where it was asked for. */
  readonly sha512?: string;
}

/** How {@link digestFile} reads. */
interface DigestOptions {
  readonly signal: AbortSignal;
  readonly withSha512: boolean;
  /** Called with the bytes read so far. */
  onRead(doneBytes: number): void;
}

/** The digests of the file at `path`, which is read once, as a stream. */
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

/** Writes a small file so that readers see the old or the new text, never a part. */
export async function writeFileAtomically(path: string, text: string): Promise<void> {
  makeDirectory(dirname(path), folderMode);
  const temporary = `${path}.${process.pid}.tmp`;
  // Whoever may write here says which bytes an image has.
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
