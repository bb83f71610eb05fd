import { closeSync, existsSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import type { Command, Context } from "../host/context.ts";
import { CommandFailure, usageExitCode } from "../host/failure.ts";
import { findDataset, volumeFile } from "../zfs/datasets.ts";
import { datasetAvailable } from "../zfs/space.ts";
import { referencedBytes, unshare } from "../zfs/volume-files.ts";

/** What a raw device's transfers are multiples of. */
const sectorBytes = 512;
const maxBlockBytes = 1024 ** 3;

/** dd(8), with volumes below /dev/zvol/rdsk and /dev/zvol/dsk. */
export const dd: Command = (context, args) => {
  const operands = readOperands(args);
  const inputBlock = size(operands.get("bs") ?? operands.get("ibs") ?? "512");
  const input = open(context, operands.get("if"), "read");
  const output = open(context, operands.get("of"), "write");
  const counts = { whole: 0, partial: 0, written: 0, writtenPartial: 0 };
  try {
    copy({ input, output, inputBlock, operands, counts, context });
  } finally {
    context.err(`${counts.whole}+${counts.partial} records in`);
    context.err(`${counts.written}+${counts.writtenPartial} records out`);
    if (input.descriptor > 2) closeSync(input.descriptor);
    if (output.descriptor > 2) closeSync(output.descriptor);
  }
};

interface File {
  readonly descriptor: number;
  readonly name: string;
  /** Bytes a volume has room for; null for other files. */
  readonly limit: number | null;
  readonly isRaw: boolean;
}

function readOperands(args: readonly string[]): Map<string, string> {
  const known = ["if", "of", "bs", "ibs", "obs", "count", "skip", "iseek", "seek", "oseek", "conv", "status"];
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

function size(text: string): number {
  const units: Record<string, number> = { "": 1, b: 512, w: 2, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };
  const match = /^(\d+)([bwkmg]?)$/i.exec(text);
  const bytes = match ? Number(match[1]) * (units[(match[2] ?? "").toLowerCase()] ?? 1) : 0;
  if (bytes === 0 || bytes > maxBlockBytes)
    throw new CommandFailure(`dd: bad numeric argument: "${text}"`, usageExitCode);
  return bytes;
}

function open(context: Context, path: string | undefined, direction: "read" | "write"): File {
  const standard = direction === "read" ? 0 : 1;
  if (path === undefined) return { descriptor: standard, name: "standard", limit: null, isRaw: false };
  const match = /^\/dev\/zvol\/(r?)dsk\/(.+)$/.exec(path);
  const fail = (): never => {
    throw new CommandFailure(`dd: ${path}: open: No such file or directory`, 2);
  };
  if (!match) {
    if (direction === "read" && !existsSync(path)) fail();
    return {
      descriptor: openSync(path, direction === "read" ? "r" : "w"),
      name: path,
      limit: null,
      isRaw: false,
    };
  }
  const dataset = findDataset(context, match[2] ?? "");
  if (dataset?.type !== "volume") fail();
  const file = volumeFile(context, match[2] ?? "");
  if (direction === "write") unshare(file);
  const room = dataset
    ? Math.min(dataset.volsize ?? 0, referencedBytes(file) + datasetAvailable(context, dataset))
    : 0;
  const descriptor = openSync(file, direction === "read" ? "r" : "r+");
  return {
    descriptor,
    name: path,
    limit: direction === "read" ? (dataset?.volsize ?? 0) : room,
    isRaw: match[1] === "r",
  };
}

interface Copying {
  readonly input: File;
  readonly output: File;
  readonly inputBlock: number;
  readonly operands: ReadonlyMap<string, string>;
  readonly counts: { whole: number; partial: number; written: number; writtenPartial: number };
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
    checkWrite(output, to, padded);
    writeBlock(output, buffer.subarray(0, padded), to);
    if (padded === inputBlock) counts.written += 1;
    else counts.writtenPartial += 1;
    from += length;
    to += padded;
    if (!isHalf && from >= half) {
      isHalf = true;
      context.halfway();
    }
  }
}

/** Refuses what the kernel would: part of a sector on a raw device, and what is behind the volume's end. */
function checkWrite({ isRaw, limit }: File, position: number, length: number): void {
  if (isRaw && length % sectorBytes !== 0) throw new CommandFailure("dd: write: Invalid argument", 2);
  if (limit !== null && position + length > limit) {
    throw new CommandFailure("dd: write: No space left on device", 2);
  }
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
