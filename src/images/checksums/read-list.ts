import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { EnvHttpProxyAgent } from "undici";
import { backoffMs } from "../../core/backoff.ts";
import { errorText, isSolsticeError, SolsticeError } from "../../core/errors.ts";
import { shownUrl } from "../../core/text/shown-url.ts";
import { hasErrorCode } from "../../host/error-code.ts";
import { refusal } from "../download/http-answer.ts";
import { discardBody, getFollowing } from "../download/http-request.ts";
import { imageInvalid, isPermanent } from "../errors.ts";
import type { PreparationContext } from "../types.ts";
import { findInList, type ListedDigest } from "./find-in-list.ts";

/** Published checksum files have up to some 100 KiB. */
const listBytesMax = 1024 * 1024;
const tries = 3;
const namesShown = 5;

type Context = Pick<PreparationContext, "limits" | "signal">;

/**
 * Reads the digest of `fileName` from the checksum file at `location` (a URL or path). Throws `not_found` when the file
 * has none, `image_invalid` when it has several, and otherwise the errors of a download.
 */
export async function readListedDigest(
  location: string,
  fileName: string,
  context: Context,
): Promise<ListedDigest & { readonly origin: string }> {
  const shown = shownUrl(location);
  const answer = findInList(decodeList(await readList(location, context)), fileName);
  if (answer.kind === "found") {
    return { algorithm: answer.algorithm, hex: answer.hex, origin: `the checksum file ${shown}` };
  }
  if (answer.kind === "ambiguous") {
    throw imageInvalid(
      `The checksum file ${shown} has several digests of ${fileName}.`,
      "Set checksum in the map to one of them.",
    );
  }
  const names = answer.names.slice(0, namesShown).join(", ") || "none";
  throw new SolsticeError(
    "not_found",
    `The checksum file ${shown} has no SHA-256 or SHA-512 of ${fileName}.`,
    {
      remedy: `Check the image's source and checksum in the map; the checksum file has entries for: ${names}.`,
    },
  );
}

async function readList(location: string, context: Context): Promise<Buffer> {
  if (!/^https?:/i.test(location)) return await readLocalList(location);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await download(location, context);
    } catch (error) {
      context.signal.throwIfAborted();
      if (isPermanent(error)) throw withLocation(error, location);
      if (attempt === tries) throw withLocation(error, location);
      const { pauseSeconds, pauseMaxSeconds } = context.limits;
      const pauseMs = backoffMs(attempt, { firstMs: pauseSeconds * 1000, maxMs: pauseMaxSeconds * 1000 });
      await sleep(pauseMs, undefined, { signal: context.signal });
    }
  }
}

function withLocation(error: unknown, location: string): SolsticeError {
  const code = isSolsticeError(error) ? error.code : "image_download_failed";
  const text = isSolsticeError(error) ? error.message : errorText(error);
  const remedy = isPermanent(error)
    ? "Check the image's checksum in the map."
    : "Retry now: solstice images pull. The orchestrator retries automatically.";
  const message = `The checksum file ${shownUrl(location)} could not be fetched: ${text}`;
  return new SolsticeError(code, message, { remedy, cause: error });
}

async function readLocalList(location: string): Promise<Buffer> {
  const path = /^file:/i.test(location) ? fileURLToPath(location) : location;
  try {
    await using handle = await open(path);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(listBytesMax + 1), 0, listBytesMax + 1, 0);
    return requireListSize(buffer.subarray(0, bytesRead));
  } catch (cause) {
    if (!hasErrorCode(cause, "ENOENT", "EACCES", "EISDIR", "ENOTDIR")) throw cause;
    throw new SolsticeError("not_found", `The checksum file ${path} cannot be read: ${errorText(cause)}`, {
      remedy: "Put the file there, or correct checksum in the map.",
      cause,
    });
  }
}

async function download(url: string, { limits, signal }: Context): Promise<Buffer> {
  const dispatcher = new EnvHttpProxyAgent({ connect: { timeout: limits.connectSeconds * 1000 } });
  const deadline = AbortSignal.timeout(limits.stalledSeconds * 1000);
  try {
    const response = await getFollowing(url, {
      ...{ dispatcher, limits, headers: {}, hasChecksum: false },
      signal: AbortSignal.any([signal, deadline]),
    });
    try {
      if (response.statusCode !== 200) throw refusal(response.statusCode);
      const chunks: Buffer[] = [];
      let length = 0;
      for await (const chunk of response.body) {
        length += chunk.length;
        chunks.push(chunk);
        if (length > listBytesMax) break;
      }
      return requireListSize(Buffer.concat(chunks));
    } finally {
      discardBody(response.body);
    }
  } finally {
    await dispatcher.destroy();
  }
}

function requireListSize(list: Buffer): Buffer {
  if (list.length <= listBytesMax) return list;
  throw imageInvalid(
    `The checksum file is larger than the limit of ${listBytesMax} bytes.`,
    "Check the image's checksum in the map: it must be a list of digests, not the image.",
  );
}

/** Decodes the text, also with a byte order mark or as UTF-16, as Windows writes it. */
function decodeList(list: Buffer): string {
  const mark = list.toString("latin1", 0, 2);
  const encoding = mark === "\xff\xfe" ? "utf-16le" : mark === "\xfe\xff" ? "utf-16be" : "utf-8";
  return new TextDecoder(encoding).decode(list);
}
