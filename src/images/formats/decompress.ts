import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import { execa } from "execa";
import type { Decompress } from "../../core/image-map/image-map.ts";
import { missingTool, runCommand } from "../../host/command.ts";
import { formatBytes } from "../../host/files/disk-space.ts";
import { imageInvalid } from "../errors.ts";
import { zstdFrames } from "./zstd-frames.ts";

/** Options for reading a compressed file. */
export interface DecompressOptions {
  readonly signal: AbortSignal;
  /** Receives the number of bytes of the compressed file read so far. */
  onRead(doneBytes: number): void;
}

const chunkBytes = 1024 * 1024;
const usualWindowBytes = 128 * 1024 * 1024;
/** The largest window of zstd itself (ZSTD_WINDOWLOG_MAX_64): `zstd --long=31`. */
const largestWindowLog = 31;

/** Memory limit for one xz file; a file that needs more is treated as an attack. */
const xzMemoryLimit = "1GiB";

/**
 * Yields the unpacked bytes of `path`. Throws when the file is truncated or damaged. A chunk is valid until the next
 * one is requested. Memory does not depend on the file's size.
 */
export async function* decompressFile(
  path: string,
  kind: Decompress,
  options: DecompressOptions,
): AsyncGenerator<Buffer> {
  if (kind === "zstd") yield* unpackZstd(path, options);
  else if (kind === "xz") yield* unpackXz(path, options);
  else if (kind === "gzip")
    yield* throughTransform(countedStream(path, options), createGunzip({ chunkSize: chunkBytes }));
  else yield* countedStream(path, options);
}

/** The unpacked length that the file declares, or null when it declares none (gzip never does beyond 4 GiB). */
export async function declaredContentBytes(path: string, kind: Decompress): Promise<number | null> {
  if (kind === "zstd") return zstdContentBytes(path);
  if (kind === "xz") return xzContentBytes(path);
  return null;
}

async function zstdContentBytes(path: string): Promise<number | null> {
  await using handle = await open(path);
  let total = 0;
  for await (const { contentBytes } of zstdFrames(handle, (await handle.stat()).size)) {
    if (contentBytes === null) return null;
    total += contentBytes;
  }
  return total;
}

/**
 * Reads the unpacked size from `xz --robot --list`: the fifth column of the tab-separated line `totals` (xz(1)). xz
 * exits with 1 for a damaged file, and unpacking will then fail with a better message.
 */
async function xzContentBytes(path: string): Promise<number | null> {
  const { stdout } = await runCommand("xz", ["--robot", "--list", "--", path], { acceptExitCodes: [0, 1] });
  const totals = /^totals\t.*$/m.exec(stdout)?.[0].split("\t");
  const bytes = Number(totals?.[4]);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

async function* unpackZstd(path: string, options: DecompressOptions): AsyncGenerator<Buffer> {
  await using handle = await open(path);
  for await (const frame of zstdFrames(handle, (await handle.stat()).size)) {
    const source = countedStream(path, options, frame);
    requireMemory(frame.windowBytes);
    const params = { [constants.ZSTD_d_windowLogMax]: largestWindowLog };
    yield* throughTransform(source, createZstdDecompress({ chunkSize: chunkBytes, params }));
  }
}

/**
 * Throws for a window larger than the free memory. zstd and Node refuse windows above 128 MiB by default: every host
 * has that much.
 */
function requireMemory(windowBytes: number): void {
  if (windowBytes <= usualWindowBytes) return;
  const freeBytes = process.availableMemory();
  if (windowBytes <= 2 ** largestWindowLog && windowBytes + usualWindowBytes <= freeBytes) return;
  throw imageInvalid(
    `Unpacking needs ${formatBytes(windowBytes)} of memory (the window of zstd --long); ${formatBytes(freeBytes)} are free.`,
    "Free some memory, or compress the image again with zstd --long=27.",
  );
}

async function* unpackXz(path: string, options: DecompressOptions): AsyncGenerator<Buffer> {
  const xz = execa("xz", ["--decompress", "--stdout", `--memlimit-decompress=${xzMemoryLimit}`], {
    buffer: { stdout: false },
    env: { LC_ALL: "C" },
    maxBuffer: 100_000,
    reject: false,
    stdin: "pipe",
  });
  // When xz rejects the data it closes its end of the pipe; its own error text is more useful than the pipe's error.
  const feeding = pipeline(countedStream(path, options), xz.stdin).catch(() => {});
  try {
    yield* xz.stdout as AsyncIterable<Buffer>;
    const result = await xz;
    await feeding;
    options.signal.throwIfAborted();
    if (result.code === "ENOENT") throw missingTool("xz", result);
    if (result.exitCode !== 0) throw new Error(String(result.stderr) || "xz was stopped");
  } finally {
    xz.kill("SIGKILL");
  }
}

/** Joins a source and a decompressor so that an error or an early end of one ends both. */
async function* throughTransform(source: Readable, transform: Transform): AsyncGenerator<Buffer> {
  let failure: unknown;
  const joined = pipeline(source, transform).catch((error: unknown) => {
    failure = error;
  });
  try {
    yield* transform;
  } catch (error) {
    await joined;
    throw failure ?? error;
  } finally {
    source.destroy();
    transform.destroy();
  }
  await joined;
  if (failure) throw failure;
}

function countedStream(
  path: string,
  options: DecompressOptions,
  range?: { start: number; end: number },
): Readable {
  const stream = createReadStream(path, {
    highWaterMark: chunkBytes,
    signal: options.signal,
    ...(range ? { start: range.start, end: range.end - 1 } : {}),
  });
  return Readable.from(counted(stream, options, range?.start ?? 0), { objectMode: true, highWaterMark: 1 });
}

async function* counted(stream: Readable, options: DecompressOptions, start: number): AsyncGenerator<Buffer> {
  let doneBytes = start;
  for await (const chunk of stream) {
    doneBytes += chunk.length;
    options.onRead(doneBytes);
    yield chunk;
  }
}
