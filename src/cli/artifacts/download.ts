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
  /** Its path on the API. */
  readonly url: string;
  /** An existing directory; nothing is written outside of it. */
  readonly directory: string;
  /** Where it goes below the directory: plain parts, by `safePaths`. */
  readonly path: string;
  /** Whether it may take the place of another file. */
  readonly isForced: boolean;
  readonly onProgress: (bytes: number) => void;
}

/** How often a file is asked for again without a byte of progress, and the pause before that, in ms. */
const triesWithoutProgress = 5;
const pauseMs = 1000;

/** No byte for this long, in ms, is an interruption. */
const stallMs = 60_000;

/**
 * Fetches a file: into a hidden one beside its place, which an interrupted fetch goes on with, and which gets its name once
 * it has the digest it should have. One that is there already and right is left. Returns whether anything was fetched.
 * Throws for another file in its place unless that may be replaced, and for a directory on the way that is a link.
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
    throw new SolsticeError("conflict", "What arrives is not what the job kept: its digest differs.", {
      remedy: "The file is damaged where it is kept.",
    });
  }
  if (download.isForced) await rename(partial, target);
  else await giveName(partial, target);
  return true;
}

/** Where a file system has no hard links. */
const noLinks = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"] as const;

/** Renames only where nothing has the name: a link is made in one step with the look, and follows none. */
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
  return new SolsticeError("already_exists", `${path} is there already, and is another file.`, {
    remedy: "Choose another directory with -o, or replace it with --force.",
  });
}

/** Makes the directories that the file goes to, one by one, so that none of them is a link that leads elsewhere. */
async function makeParents({ directory, path }: Download): Promise<void> {
  let parent = directory;
  for (const part of path.split("/").slice(0, -1)) {
    parent = join(parent, part);
    await mkdir(parent).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    if ((await lstat(parent)).isDirectory()) continue;
    throw new SolsticeError("already_exists", `${parent} is there, and is no directory.`, {
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

/** Brings the partial file to its full length; whether it then is what it should be. */
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

/** A guest chose the size: it must not be what fills this machine's disk. */
async function refuseTooLarge(partial: string, missing: number): Promise<void> {
  const free = await freeBytes(dirname(partial));
  if (missing <= free) return;
  throw new SolsticeError(
    "disk_full",
    `${formatBytes(missing)} are to come, and ${dirname(partial)} has ${formatBytes(free)} left.`,
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
        throw new SolsticeError("conflict", "More arrives than the file has.");
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
  const known = errorCodes.find((code) => code === response.headers.get("solstice-error-code"));
  let message = `The API answered ${response.status}.`;
  try {
    message = String((JSON.parse(text) as { message?: unknown }).message ?? message);
  } catch {
    // A proxy's page, say.
  }
  const remedy = response.headers.get("solstice-remedy");
  const code = known ?? (response.status >= 500 ? "unavailable" : "not_found");
  return new SolsticeError(code, message, remedy === null ? {} : { remedy: decodeURIComponent(remedy) });
}

/** What may be over in a moment: a server that restarts, a network that breaks. */
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
    hostId === "" ? "" : ` from host ${hostId}, which alone has it, at ${oneLine(shownUrl(apiUrl))}`;
  return new SolsticeError("unavailable", `The file cannot be fetched${from}: ${errorText(cause)}.`, {
    remedy:
      hostId === ""
        ? "The same command goes on where this one stopped."
        : "Let the API there be reached from here, or run the same command on that host.",
    cause: error,
  });
}
