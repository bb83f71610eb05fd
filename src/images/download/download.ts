import { setTimeout as sleep } from "node:timers/promises";
import { type Dispatcher, EnvHttpProxyAgent } from "undici";
import { backoffMs } from "../../core/backoff.ts";
import { errorText, isSolsticeError, SolsticeError } from "../../core/errors.ts";
import { shownUrl } from "../../core/text/shown-url.ts";
import { convertWriteError, imageInvalid, isPermanent } from "../errors.ts";
import type { ImageFiles } from "../image-files.ts";
import type { PreparationContext } from "../types.ts";
import { requireFreeSpace } from "./free-space.ts";
import { continuationHeaders, readAnswer } from "./http-answer.ts";
import { discardBody, getFollowing } from "./http-request.ts";
import { PartialFile } from "./partial-file.ts";

/** Source of a download. */
export interface DownloadSource {
  readonly url: string;
  /** True when a checksum will be compared after the download. */
  readonly hasChecksum: boolean;
}

interface Download extends DownloadSource {
  readonly files: ImageFiles;
  readonly partial: PartialFile;
  readonly dispatcher: Dispatcher;
  readonly context: PreparationContext;
  /** Error text of the last attempt; null once bytes arrive. */
  trouble: string | null;
}

/**
 * Downloads `source` to `files.part`, and resumes where an earlier attempt or an earlier process stopped. The caller
 * holds the image's lock. Throws `not_found` (permanent refusal), `image_download_failed` (temporary), `image_invalid`
 * (too large) or `disk_full`; the received bytes are kept for the next call.
 *
 * undici's RetryAgent resumes within one request, but not after a restart of the process. This loop is therefore needed
 * anyway, and does both.
 */
export async function downloadImage(
  files: ImageFiles,
  source: DownloadSource,
  context: PreparationContext,
): Promise<void> {
  const partial = await PartialFile.open(files, source.url);
  const dispatcher = new EnvHttpProxyAgent({ connect: { timeout: context.limits.connectSeconds * 1000 } });
  try {
    await downloadWithTries({ ...source, files, partial, dispatcher, context, trouble: null });
  } catch (error) {
    throw convertWriteError(error, files.part);
  } finally {
    await partial.close();
    await dispatcher.destroy();
  }
}

async function downloadWithTries(download: Download): Promise<void> {
  const { partial, context } = download;
  const { limits, signal } = context;
  let fruitless = 0;
  for (let tries = 1; !partial.isComplete; tries += 1) {
    const before = partial.bytes;
    try {
      // Report before the first answer: name resolution or a silent server may take a while.
      reportProgress(download);
      await tryOnce(download);
    } catch (thrown) {
      signal.throwIfAborted();
      const error = convertWriteError(thrown, download.files.part);
      const hasGained = partial.bytes - before >= limits.stalledBytes;
      fruitless = hasGained ? 0 : fruitless + 1;
      if (isPermanent(error) || isSolsticeError(error, "disk_full")) throw error;
      if (fruitless >= limits.fruitlessTries || tries >= limits.tries) throw gaveUp(download, error);
      download.trouble = errorText(error);
      reportProgress(download);
      await sleep(pauseMs(fruitless, limits), undefined, { signal });
    }
  }
}

function reportProgress({ partial, context, trouble }: Download): void {
  context.report({
    phase: "downloading",
    doneBytes: partial.bytes,
    totalBytes: partial.version.totalBytes,
    ...(trouble !== null && { trouble }),
  });
}

/** Sends one request. Returns when the file is complete or another request is needed. */
async function tryOnce(download: Download): Promise<void> {
  const { partial, context, hasChecksum } = download;
  const { limits, signal } = context;
  const continuation = continuationHeaders(partial.bytes, partial.version, hasChecksum);
  if (!continuation) await partial.restart(unknownVersion);
  const headers = continuation ?? {};
  const { dispatcher } = download;
  const response = await getFollowing(download.url, { dispatcher, headers, signal, limits, hasChecksum });
  try {
    const meaning = readAnswer(response, partial.bytes, partial.version);
    if (meaning.kind === "start_over") {
      await partial.restart(unknownVersion);
      throw new SolsticeError(
        "image_download_failed",
        `The download starts again from the beginning: ${meaning.why}.`,
      );
    }
    if (meaning.kind === "whole") await partial.restart(meaning.version);
    if (meaning.kind !== "nothing_missing") await receiveBody(download, response.body);
    await partial.complete();
  } finally {
    discardBody(response.body);
  }
}

async function receiveBody(download: Download, body: AsyncIterable<Buffer>): Promise<void> {
  const { partial, context } = download;
  await requireSpaceForRest(download);
  const watch = new StallWatch(context.limits);
  try {
    for await (const chunk of body) {
      context.signal.throwIfAborted();
      watch.count(chunk.length);
      requireAllowedSize(partial.bytes + chunk.length, context.limits.downloadBytes);
      await partial.append(chunk);
      download.trouble = null;
      reportProgress(download);
      if (partial.unsyncedBytes >= context.limits.checkpointBytes) await checkpoint(download);
    }
  } catch (error) {
    // The bytes received before the connection broke are kept.
    await partial.checkpoint();
    throw error;
  }
  const { totalBytes } = partial.version;
  if (totalBytes !== null && partial.bytes !== totalBytes) {
    await partial.checkpoint();
    throw new SolsticeError("image_download_failed", `Only ${partial.bytes} of ${totalBytes} bytes arrived.`);
  }
}

async function checkpoint({ partial, files, context }: Download): Promise<void> {
  await partial.checkpoint();
  await requireFreeSpace(files.folder, context.limits.checkpointBytes, context.limits.freeFloorBytes);
}

/** Requires space for the remaining bytes and for the unpacked image, which is hardly smaller than the published file. */
async function requireSpaceForRest({ partial, files, context }: Download): Promise<void> {
  const { totalBytes } = partial.version;
  if (totalBytes === null) return requireFreeSpace(files.folder, 0, context.limits.freeFloorBytes);
  requireAllowedSize(totalBytes, context.limits.downloadBytes);
  const wanted = totalBytes - partial.bytes + totalBytes;
  return requireFreeSpace(files.folder, wanted, context.limits.freeFloorBytes);
}

function requireAllowedSize(bytes: number, limit: number): void {
  if (bytes <= limit) return;
  throw imageInvalid(
    `The source is larger than the limit of ${limit} bytes.`,
    "Check the image's source in the map.",
  );
}

const unknownVersion = { etag: null, lastModified: null, totalBytes: null };

function pauseMs(fruitless: number, limits: PreparationContext["limits"]): number {
  const backoff = { firstMs: limits.pauseSeconds * 1000, maxMs: limits.pauseMaxSeconds * 1000 };
  return backoffMs(fruitless, backoff) * (0.75 + Math.random() / 2);
}

function gaveUp(download: Download, cause: unknown): SolsticeError {
  const have = download.partial.bytes;
  return new SolsticeError(
    "image_download_failed",
    `${shownUrl(download.url)} could not be downloaded: ${errorText(cause)}`,
    {
      remedy: `Retry now: solstice images pull. The orchestrator retries automatically. Both resume after the first ${have} bytes.`,
      cause,
    },
  );
}

/** Detects a server that sends too slowly ever to finish. Complete silence is detected by undici's bodyTimeout. */
class StallWatch {
  readonly #limits: PreparationContext["limits"];
  #spanStart = performance.now();
  #spanBytes = 0;

  constructor(limits: PreparationContext["limits"]) {
    this.#limits = limits;
  }

  count(bytes: number): void {
    this.#spanBytes += bytes;
    const { stalledSeconds, stalledBytes } = this.#limits;
    if (performance.now() - this.#spanStart < stalledSeconds * 1000) return;
    if (this.#spanBytes < stalledBytes) {
      throw new SolsticeError(
        "image_download_failed",
        `The server sent only ${this.#spanBytes} bytes in ${stalledSeconds} s.`,
      );
    }
    this.#spanStart = performance.now();
    this.#spanBytes = 0;
  }
}
