import { chmod, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { errorText, isSolsticeError, SolsticeError } from "../../core/errors.ts";
import type { ImageDefinition } from "../../core/image-map/image-map.ts";
import { makeDirectory, passableMode } from "../../host/files/make-directory.ts";
import { type ProcessLock, readLockHolder, tryAcquireProcessLock } from "../../host/process-lock.ts";
import { isProvenByList } from "../checksums/keep-proven.ts";
import { digestMismatch, type WantedDigest, wantedDigest } from "../checksums/wanted-digest.ts";
import { downloadImage } from "../download/download.ts";
import { requireFreeSpace } from "../download/free-space.ts";
import { bytesOfUnnamedLength, removePartialFile } from "../download/partial-file.ts";
import { convertWriteError, imageInvalid } from "../errors.ts";
import { declaredContentBytes, decompressFile } from "../formats/decompress.ts";
import { checkWithQemu, inspectImage, requireCompression } from "../formats/image-format.ts";
import { SparseWriter } from "../formats/sparse-writer.ts";
import { digestFile, type FileDigests, type NewFacts, saveFacts } from "../image-facts.ts";
import { folderMode, type ImageFiles, imageFiles } from "../image-files.ts";
import type { PreparationContext, ReadyImage } from "../types.ts";
import { findReadyImage } from "./find-ready-image.ts";
import { readFailure, removeFailure, saveFailure } from "./last-failure.ts";

/** Number of unpacked bytes after which free space is checked again. */
const spaceCheckBytes = 256 * 1024 * 1024;

/**
 * Prepares one image: uses an existing one; else fetches, verifies, unpacks and checks it, and renames it last, so that
 * an incomplete image is never visible. Of several processes one works and the others wait. May be killed at any moment
 * and called again. Throws a SolsticeError with the remedy, or the signal's reason.
 */
export async function prepareImage(
  definition: ImageDefinition,
  context: PreparationContext,
): Promise<ReadyImage> {
  const present = await findReadyImage(definition, context);
  if (present) return present;
  const source = sourceOf(definition);
  const files = imageFiles(definition.localPath);
  await makeFolder(files.folder);
  const lock = await waitForLock(files, definition, context);
  try {
    return (
      (await findReadyImage(definition, context)) ?? (await produce(definition, { source, files, context }))
    );
  } finally {
    lock.release();
  }
}

type Source =
  | { readonly kind: "http"; readonly url: string }
  | { readonly kind: "file"; readonly path: string };

interface Workplace {
  readonly source: Source;
  readonly files: ImageFiles;
  readonly context: PreparationContext;
}

async function produce(definition: ImageDefinition, workplace: Workplace): Promise<ReadyImage> {
  const { source, files, context } = workplace;
  try {
    // The checksum file comes first: its errors then appear before gigabytes are fetched.
    const wanted = await wantedDigest(definition, context);
    if (await isProvenByList(definition, wanted, context)) {
      const ready = await findReadyImage(definition, context);
      if (ready) return ready;
    }
    const published = await fetchPublished(definition, workplace);
    const proof = await verify(published, definition, { wanted, context });
    await unpack(published, definition, workplace);
    const ready = await publish(definition, proof, workplace);
    if (source.kind === "http") await removePartialFile(files);
    await removeFailure(files);
    return ready;
  } catch (error) {
    const isWrong = source.kind === "http" && isSolsticeError(error, "image_invalid");
    const cutBytes = isWrong ? await bytesOfUnnamedLength(files) : null;
    const converted = await asPossiblyCut(convertWriteError(error, files.image), { files, cutBytes });
    // Bytes that are known to be wrong must not be resumed.
    if (isWrong) await removePartialFile(files);
    if (!context.signal.aborted) await saveFailure(files, converted, cutBytes);
    throw converted;
  } finally {
    await rm(files.unpacking, { force: true });
  }
}

/**
 * Makes the failure temporary when the server did not send the file's length: the file may be truncated, and a retry
 * may succeed. Not when the previous attempt received the same number of bytes.
 */
async function asPossiblyCut(
  error: unknown,
  { files, cutBytes }: { files: ImageFiles; cutBytes: number | null },
): Promise<unknown> {
  if (!isSolsticeError(error) || cutBytes === null) return error;
  if ((await readFailure(files))?.cutBytes === cutBytes) return error;
  const came = `The server did not send the length of the file, and ended it after ${cutBytes} bytes.`;
  return new SolsticeError(
    "image_download_failed",
    `The download may be truncated. ${came} ${error.message}`,
    {
      remedy:
        `The orchestrator retries soon; \`solstice images pull\` retries now. ${error.remedy ?? ""}`.trimEnd(),
      cause: error,
    },
  );
}

/** Returns the path of the published file: the download, or the operator's own file. */
async function fetchPublished(definition: ImageDefinition, workplace: Workplace): Promise<string> {
  const { source, files, context } = workplace;
  if (source.kind === "http") {
    await downloadImage(files, { url: source.url, hasChecksum: isProtected(definition) }, context);
    return files.part;
  }
  const found = await stat(source.path).catch(() => null);
  if (found?.isFile()) return source.path;
  throw new SolsticeError("not_found", `The image's source ${source.path} does not exist.`, {
    remedy: "Put the file there, or correct source in the map.",
  });
}

/**
 * True when a checksum would detect a file that was replaced in transit: a checksum that arrives by the same way does
 * not.
 */
function isProtected({ checksum }: ImageDefinition): boolean {
  return checksum?.kind === "digest" || (checksum?.kind === "list" && !/^http:/i.test(checksum.location));
}

/** Recorded facts about the published file: its digests, and the checksum file that it matches. */
type Proof = FileDigests & Pick<NewFacts, "listKey">;

async function verify(
  published: string,
  definition: ImageDefinition,
  { wanted, context }: { wanted: WantedDigest | null; context: PreparationContext },
): Promise<Proof> {
  await requireCompression(published, definition.decompress);
  const { size: totalBytes } = await stat(published);
  // The file on disk is hashed, so the result is right also for a download that several processes made.
  const digests = await digestFile(published, {
    signal: context.signal,
    withSha512: wanted?.algorithm === "sha512",
    onRead: (doneBytes) => context.report({ phase: "verifying", doneBytes, totalBytes }),
  });
  requireDigest(digests, wanted);
  return wanted?.listKey === undefined ? digests : { ...digests, listKey: wanted.listKey };
}

function requireDigest(digests: FileDigests, wanted: WantedDigest | null): void {
  const mismatch = digestMismatch(digests, wanted);
  if (mismatch === null) return;
  throw imageInvalid(
    `The checksum is wrong: the file ${mismatch}.`,
    wanted?.listKey === undefined
      ? "If the publisher replaced the file, put the new checksum into the map."
      : "Try again: solstice images pull. The publisher may have replaced the file meanwhile.",
  );
}

async function unpack(published: string, definition: ImageDefinition, workplace: Workplace): Promise<void> {
  const { files, context } = workplace;
  const { limits, signal } = context;
  const { size: totalBytes } = await stat(published);
  try {
    const declared = await declaredContentBytes(published, definition.decompress);
    await requireFreeSpace(files.folder, declared ?? totalBytes, limits.freeFloorBytes);
    const onRead = (doneBytes: number) => context.report({ phase: "unpacking", doneBytes, totalBytes });
    const chunks = decompressFile(published, definition.decompress, { signal, onRead });
    await writeSparse(chunks, files.unpacking, context);
  } catch (error) {
    signal.throwIfAborted();
    const converted = convertWriteError(error, files.unpacking);
    if (isSolsticeError(converted)) throw converted;
    throw imageInvalid(
      `The file cannot be unpacked as ${definition.decompress}: ${errorText(error)}`,
      "Check source and decompress in the map.",
      error,
    );
  }
}

async function writeSparse(
  chunks: AsyncIterable<Buffer>,
  path: string,
  { limits, signal }: PreparationContext,
): Promise<void> {
  await using handle = await open(path, "w", 0o600);
  const writer = new SparseWriter(handle);
  let nextSpaceCheck = spaceCheckBytes;
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    await writer.write(chunk);
    if (writer.length > limits.virtualSizeBytes) {
      throw imageInvalid(
        `The image unpacks to more than ${limits.virtualSizeBytes} bytes.`,
        "Use another image.",
      );
    }
    if (writer.length >= nextSpaceCheck) {
      nextSpaceCheck = writer.length + spaceCheckBytes;
      await requireFreeSpace(path, 0, limits.freeFloorBytes);
    }
  }
  await writer.finish();
  await handle.sync();
}

/**
 * Checks the whole file and renames it to its final path. Read-only, because guests' overlays depend on every byte of
 * it.
 */
async function publish(
  definition: ImageDefinition,
  proof: Proof,
  { files, context }: Workplace,
): Promise<ReadyImage> {
  const inspected = await inspectImage(files.unpacking, {
    format: definition.format,
    decompress: definition.decompress,
    maxVirtualSizeBytes: context.limits.virtualSizeBytes,
  });
  if (inspected.format === "qcow2") await checkWithQemu(files.unpacking, context.signal);
  await chmod(files.unpacking, 0o444);
  const { dataDir } = context;
  await saveFacts(definition, dataDir, { path: files.unpacking, digestOf: "published", ...proof });
  await rename(files.unpacking, files.image);
  await using folder = await open(dirname(files.image));
  await folder.sync();
  return { path: files.image, ...inspected, digest: proof.digest };
}

async function waitForLock(
  files: ImageFiles,
  definition: ImageDefinition,
  context: PreparationContext,
): Promise<ProcessLock> {
  for (;;) {
    context.signal.throwIfAborted();
    const lock = tryAcquireProcessLock(files.lock, `preparing image ${definition.name}`);
    if (lock) return lock;
    // The holder's own deadlines limit this wait, and its death ends it.
    const holder = readLockHolder(files.lock);
    const doneBytes = (await stat(files.part).catch(() => null))?.size ?? 0;
    context.report({
      phase: "waiting",
      doneBytes,
      totalBytes: null,
      ...(holder ? { holderPid: holder.pid } : {}),
    });
    await sleep(context.limits.lockPollSeconds * 1000, undefined, { signal: context.signal });
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    makeDirectory(dirname(folder), passableMode);
    makeDirectory(folder, folderMode);
  } catch (cause) {
    throw new SolsticeError("image_unavailable", `The folder ${dirname(folder)} cannot be written.`, {
      remedy: "Give this user the right to write there, or set another local_path.",
      cause,
    });
  }
}

function sourceOf(definition: ImageDefinition): Source {
  const { source, localPath, name } = definition;
  if (source === null) {
    throw new SolsticeError("image_unavailable", `Image ${name} is not at ${localPath}, and has no source.`, {
      remedy: "Put the file there, or give the image a source in the map.",
    });
  }
  if (/^https?:/i.test(source)) return { kind: "http", url: source };
  return { kind: "file", path: /^file:/i.test(source) ? fileURLToPath(source) : source };
}
