import { closeSync, existsSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import type { Command, Context } from "../host/context.ts";
import { CommandFailure, usageExitCode } from "../host/failure.ts";
import { findDataset, volumeFile } from "../zfs/datasets.ts";
import { datasetAvailable } from "../zfs/space.ts";
import { referencedBytes, unshare } from "../zfs/volume-files.ts";

/** Transfers of a raw device are multiples of this. */
const sectorBytes = 512;
const maxBlockBytes = 1024 ** 3;

/** dd(8), with volumes below /dev/zvol/rdsk and /dev/zvol/dsk. */
export const dd: Command = (context, args) => {
  const operands = readOperands(args);
  const inputBlock = size(operands.get("bs") ?? operands.get("ibs") ?? "512");
  const input = open(context, operands.get("if"), "read");
  const output = open(context, operands.get("of"), "write");
  const counts: Counts = { whole: 0, partial: 0, written: 0, writtenPartial: 0, bytes: 0 };
  const begun = process.hrtime.bigint();
  try {
    copy({ input, output, inputBlock, operands, counts, context });
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    context.err(error.message);
    printCounts(context, counts, begun);
    throw new CommandFailure("", error.exitCode);
  } finally {
    for (const { descriptor } of [input, output]) closeSync(descriptor);
  }
  printCounts(context, counts, begun);
  return 0;
};

interface Counts {
  whole: number;
  partial: number;
  written: number;
  writtenPartial: number;
  bytes: number;
}

/** stats() of dd.c. */
function printCounts(context: Context, counts: Counts, begun: bigint): void {
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
  context.err(`${counts.whole}+${counts.partial} records in`);
  context.err(`${counts.written}+${counts.writtenPartial} records out`);
  const rate = (counts.bytes / seconds).toFixed(0);
  context.err(`${counts.bytes} bytes transferred in ${seconds.toFixed(6)} secs (${rate} bytes/sec)`);
}

interface File {
  readonly descriptor: number;
  readonly name: string;
  /** Size of a volume in bytes; null for other files. */
  readonly limit: number | null;
  /** Free space of the pool for new data, in bytes. */
  readonly room: number;
  readonly isRaw: boolean;
}

function readOperands(args: readonly string[]): Map<string, string> {
  const known = ["if", "of", "bs", "ibs", "obs", "count", "skip", "iseek", "seek", "oseek", "conv", "oflag"];
  const found = new Map<string, string>();
  for (const argument of args) {
    const equals = argument.indexOf("=");
    const name = argument.slice(0, equals);
    if (equals < 0 || !known.includes(name))
      throw new CommandFailure(`dd: bad argument: "${argument}"`, usageExitCode);
    found.set(name, argument.slice(equals + 1));
  }
  return found;
}

/** number() of dd.c: it accepts `k` and `M`, but not `K` or `m`. */
function size(text: string): number {
  const units: Record<string, number> = { "": 1, b: 512, w: 2, k: 1024, M: 1024 ** 2, G: 1024 ** 3 };
  const match = /^(\d+)([bwkMG]?)$/.exec(text);
  if (!match) throw new CommandFailure(`dd: bad numeric argument: "${text}"`, usageExitCode);
  const bytes = Number(match[1]) * (units[match[2] ?? ""] ?? 1);
  if (bytes === 0) throw new CommandFailure("dd: buffer sizes cannot be zero", usageExitCode);
  if (bytes > maxBlockBytes) throw new CommandFailure(`dd: argument out of range: "${bytes}"`, usageExitCode);
  return bytes;
}

function open(context: Context, path: string | undefined, direction: "read" | "write"): File {
  if (path === undefined) throw new CommandFailure("the stand-in's dd has no terminal: name if= and of=");
  const match = /^\/dev\/zvol\/(r?)dsk\/(.+)$/.exec(path);
  const fail = (): never => {
    throw new CommandFailure(`dd: ${path}: open: No such file or directory`, 2);
  };
  if (!match) {
    if (direction === "read" && !existsSync(path)) fail();
    const descriptor = openSync(path, direction === "read" ? "r" : "w");
    return { descriptor, name: path, limit: null, room: Number.POSITIVE_INFINITY, isRaw: false };
  }
  const dataset = findDataset(context, match[2] ?? "");
  if (dataset?.type !== "volume") return fail();
  const file = volumeFile(context, dataset.name);
  if (direction === "write") unshare(file);
  const room = referencedBytes(file) + datasetAvailable(context, dataset);
  const descriptor = openSync(file, direction === "read" ? "r" : "r+");
  return { descriptor, name: path, limit: dataset.volsize ?? 0, room, isRaw: match[1] === "r" };
}

interface Copying {
  readonly input: File;
  readonly output: File;
  readonly inputBlock: number;
  readonly operands: ReadonlyMap<string, string>;
  readonly counts: Counts;
  readonly context: Context;
}

function copy({ input, output, inputBlock, operands, counts, context }: Copying): void {
  const buffer = Buffer.allocUnsafe(inputBlock);
  const most = operands.has("count") ? Number(operands.get("count")) : Number.POSITIVE_INFINITY;
  const isFile = fstatSync(input.descriptor).isFile();
  const half = isFile ? Math.floor(fstatSync(input.descriptor).size / 2) : inputBlock;
  let from = Number(operands.get("skip") ?? operands.get("iseek") ?? 0) * inputBlock;
  let to = Number(operands.get("seek") ?? operands.get("oseek") ?? 0) * inputBlock;
  let isHalf = false;
  while (counts.whole + counts.partial < most) {
    const length = readBlock(input, buffer, isFile ? from : null);
    if (length === 0) break;
    if (length === inputBlock) counts.whole += 1;
    else counts.partial += 1;
    const padded = operands.get("conv")?.split(",").includes("sync") ? pad(buffer, length) : length;
    if (padded === inputBlock) counts.written += 1;
    else counts.writtenPartial += 1;
    checkWrite(output, to, padded);
    writeBlock(output, buffer.subarray(0, padded), to);
    counts.bytes += padded;
    from += length;
    to += padded;
    if (!isHalf && from >= half) {
      isHalf = true;
      context.halfway();
    }
  }
}

/**
 * The kernel's errors (zvol_write of zvol.c; physio(9F) accepts whole sectors only), in the words of flsh() of dd.c.
 */
function checkWrite({ isRaw, limit, room }: File, position: number, length: number): void {
  const fail = (text: string): never => {
    throw new CommandFailure(text, 2);
  };
  if (isRaw && length % sectorBytes !== 0) fail("write: Invalid argument");
  if (limit === null) return;
  if (position >= limit) fail("write: I/O error");
  if (position + length > limit) {
    fail(`dd: unexpected short write, wrote ${limit - position} bytes, expected ${length}`);
  }
  if (position + length > room) fail("write: No space left on device");
}

function pad(buffer: Buffer, length: number): number {
  buffer.fill(0, length);
  return buffer.length;
}

function readBlock({ descriptor }: File, buffer: Buffer, position: number | null): number {
  for (;;) {
    try {
      return readSync(descriptor, buffer, 0, buffer.length, position);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EOF") return 0;
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}

function writeBlock({ descriptor, limit }: File, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(descriptor, bytes, done, bytes.length - done, limit === null ? null : position + done);
  }
}
