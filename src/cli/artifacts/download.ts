import { createHash, type Hash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { type FileHandle, link, lstat, mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorCodes, errorText, SolsticeError } from "../../core/errors.ts";
import { shownUrl } from "../../core/text/shown-url.ts";
import type { Artifact } from "../../gen/solstice/v1/jobs_pb.ts";
import { hasErrorCode } from "../../host/error-code.ts";
import { convertDiskFull } from "../../host/files/disk-full.ts";
import { formatBytes, freeBytes } from "../../host/files/disk-space.ts";
import type { ApiSession } from "../api/api-session.ts";
import { oneLine } from "../print/text.ts";

/** One file to fetch. */
export interface Download {
  readonly artifact: Artifact;
  /** The file's path in the API. */
  readonly url: string;
  /** An existing directory; no file is written outside of it. */
  readonly directory: string;
  /** The target below the directory: plain parts, by `safePaths`. */
  readonly path: string;
  /** True: the file may replace another file. */
  readonly isForced: boolean;
  readonly onProgress: (bytes: number) => void;
}

/** Number of tries without a byte of progress, and the pause between tries, in ms. */
const triesWithoutProgress = 5;
const pauseMs = 1000;

/** Time without a byte, in ms, that counts as an interruption. */
const stallMs = 60_000;

/**
 * Fetches a file into a hidden partial file beside the target, so that the next fetch can resume an interrupted one. The
 * partial file gets the target's name when its digest is correct. An existing file with the correct digest is kept. Returns
 * true when bytes were fetched. Throws `already_exists` for another file at the target that may not be replaced, and for a
 * link in the place of a directory.
 */
export async function downloadArtifact(session: ApiSession, download: Download): Promise<boolean> {
  const target = join(download.directory, download.path);
  await makeParents(download);
  if (await isRight(target, download.artifact)) return false;
  if (!download.isForced && (await lstat(target).catch(() => null)) !== null) throw isThere(target);
  const partial = join(dirname(target), `.${basename(target)}.${download.artifact.sha256.slice(0, 12)}.part`);
  for (let restarts = 0; ; restarts += 1) {
    if (await fetchAll(session, download, partial)) break;
    await rm(partial, { force: true });
    if (restarts === 0) continue;
    throw new SolsticeError(
      "conflict",
      "The file was fetched twice and its digest differs from the job's artifact.",
      {
        remedy:
          "The stored artifact is damaged: check the disk or the bucket of the host, and retry the job.",
      },
    );
  }
  if (download.isForced) await rename(partial, target);
  else await giveName(partial, target);
  return true;
}

/** Error codes of file systems without hard links. */
const noLinks = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"] as const;

/** Renames only if no file has the name: link(2) checks the name and creates it in one step, and follows no symbolic link. */
async function giveName(partial: string, target: string): Promise<void> {
  try {
    await link(partial, target);
    await rm(partial, { force: true });
  } catch (error) {
    if (hasErrorCode(error, "EEXIST")) throw isThere(target);
    if (!noLinks.some((code) => hasErrorCode(error, code))) throw error;
    await rename(partial, target);
  }
}

function isThere(path: string): SolsticeError {
  return new SolsticeError("already_exists", `${path} exists already with other content.`, {
    remedy: "Choose another directory with -o, or replace the file with --force.",
  });
}

/** Creates the parent directories of the target one by one, so that none of them is a link to another place. */
async function makeParents({ directory, path }: Download): Promise<void> {
  let parent = directory;
  for (const part of path.split("/").slice(0, -1)) {
    parent = join(parent, part);
    await mkdir(parent).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    if ((await lstat(parent)).isDirectory()) continue;
    throw new SolsticeError("already_exists", `${parent} exists and is no directory.`, {
      remedy: "Remove it, or choose another directory with -o.",
    });
  }
}

async function isRight(path: string, artifact: Artifact): Promise<boolean> {
  const found = await lstat(path).catch(() => null);
  if (!found?.isFile() || found.size !== Number(artifact.sizeBytes)) return false;
  return (await hashOf(path)).digest("hex") === artifact.sha256;
}

async function hashOf(path: string): Promise<Hash> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash;
}

/** Fetches the rest of the partial file. Returns true when the digest of the complete file is correct. */
async function fetchAll(session: ApiSession, download: Download, partial: string): Promise<boolean> {
  const size = Number(download.artifact.sizeBytes);
  const flags = constants.O_CREAT | constants.O_RDWR | constants.O_NOFOLLOW;
  await using file = await open(partial, flags, 0o644);
  const before = (await file.stat()).size;
  if (before > size) return false;
  await refuseTooLarge(partial, size - before);
  const state = { at: before, hash: await hashOf(partial) };
  for (let failures = 0; state.at < size; ) {
    const from = state.at;
    try {
      await fetchSome(session, download, { file, state });
    } catch (error) {
      failures = state.at > from ? 1 : failures + 1;
      if (!isPassing(error) || failures >= triesWithoutProgress) throw cannotFetch(error, download);
      await sleep(pauseMs);
      await session.refresh();
    }
  }
  await file.sync();
  return state.hash.digest("hex") === download.artifact.sha256;
}

/** Refuses a file that is larger than the free space. A guest chose its size, and must not fill this machine's disk. */
async function refuseTooLarge(partial: string, missing: number): Promise<void> {
  const free = await freeBytes(dirname(partial));
  if (missing <= free) return;
  throw new SolsticeError(
    "disk_full",
    `The file needs ${formatBytes(missing)} more, but ${dirname(partial)} has only ${formatBytes(free)} free.`,
    { remedy: "Choose a directory on another disk with -o, or name only the files that you need." },
  );
}

async function fetchSome(
  session: ApiSession,
  { url, artifact, onProgress }: Download,
  { file, state }: { file: FileHandle; state: { at: number; hash: Hash } },
): Promise<void> {
  const stall = new AbortController();
  const timer = setTimeout(() => stall.abort(), stallMs);
  try {
    const apiUrl = artifact.apiUrl === "" ? null : artifact.apiUrl;
    const response = await session.fetchFile(`${url}?offset=${state.at}`, { apiUrl, signal: stall.signal });
    if (response.status !== 200) throw await refusalOf(response);
    for await (const chunk of response.body ?? []) {
      timer.refresh();
      if (state.at + chunk.byteLength > Number(artifact.sizeBytes)) {
        throw new SolsticeError("conflict", "The API sent more bytes than the file has.");
      }
      await file.write(chunk, 0, chunk.byteLength, state.at);
      state.hash.update(chunk);
      state.at += chunk.byteLength;
      onProgress(state.at);
    }
    if (state.at < Number(artifact.sizeBytes)) throw new TypeError("The connection ended early.");
  } finally {
    clearTimeout(timer);
  }
}

async function refusalOf(response: Response): Promise<SolsticeError> {
  const text = (await response.text()).slice(0, 4000);
  const sentCode = errorCodes.find((code) => code === response.headers.get("solstice-error-code"));
  let message = `The API answered ${response.status}.`;
  try {
    message = String((JSON.parse(text) as { message?: unknown }).message ?? message);
  } catch {
    // The body is no JSON, such as a proxy's page.
  }
  const remedy = response.headers.get("solstice-remedy");
  const code = sentCode ?? (response.status >= 500 ? "unavailable" : "not_found");
  return new SolsticeError(code, message, remedy === null ? {} : { remedy: decodeURIComponent(remedy) });
}

/** True for errors that a retry may resolve: a restarting server, a broken connection. */
function isPassing(error: unknown): boolean {
  if (error instanceof SolsticeError) return ["unavailable", "store_failed", "internal"].includes(error.code);
  return error instanceof TypeError || (error instanceof Error && error.name === "AbortError");
}

function cannotFetch(error: unknown, { artifact, path }: Download): unknown {
  if (error instanceof SolsticeError) return error;
  if (!(error instanceof TypeError)) return convertDiskFull(error, path);
  const cause = error.cause instanceof Error ? error.cause : error;
  const { hostId, apiUrl } = artifact;
  const from =
    hostId === ""
      ? ""
      : ` from host ${hostId}, the only host with this file, at ${oneLine(shownUrl(apiUrl))}`;
  return new SolsticeError("unavailable", `The file cannot be fetched${from}: ${errorText(cause)}.`, {
    remedy:
      hostId === ""
        ? "Run the same command again: it resumes the download."
        : "Make the API of that host reachable from here, or run the same command on that host.",
    cause: error,
  });
}
