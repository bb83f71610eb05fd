import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { noise, temporaryFolder } from "../testing/fixtures.ts";
import { declaredContentBytes, decompressFile } from "./decompress.ts";

const options = { signal: new AbortController().signal, onRead() {} };

async function unpack(path: string, kind: "zstd" | "gzip" | "xz"): Promise<Buffer> {
  const chunks = [];
  for await (const chunk of decompressFile(path, kind, options)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

const first = noise(300_000);
const second = Buffer.alloc(3_000_000, "the second part ");

const skippable = Buffer.concat([Buffer.from([0x50, 0x2a, 0x4d, 0x18, 5, 0, 0, 0]), Buffer.from("hello")]);
const withChecksum = zstdCompressSync(second, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
const rle = zstdCompressSync(Buffer.alloc(1_000_000));

for (const [what, kind, parts, expected] of [
  [
    "frames of zstd",
    "zstd",
    [zstdCompressSync(first), withChecksum, rle],
    [first, second, Buffer.alloc(1_000_000)],
  ],
  ["skippable frames", "zstd", [skippable, zstdCompressSync(first), skippable], [first]],
  ["an empty frame", "zstd", [zstdCompressSync(Buffer.alloc(0)), zstdCompressSync(first)], [first]],
  ["members of gzip", "gzip", [gzipSync(first), gzipSync(second)], [first, second]],
  [
    "streams of xz",
    "xz",
    [first, second].map((input) => execFileSync("xz", ["-c"], { input })),
    [first, second],
  ],
] as const) {
  test(`all parts are unpacked: ${what}`, async (t) => {
    const path = join(temporaryFolder(t), "file");
    writeFileSync(path, Buffer.concat(parts));
    const content = Buffer.concat(expected);
    assert.ok((await unpack(path, kind)).equals(content));
    const declared = await declaredContentBytes(path, kind);
    assert.equal(declared, kind === "gzip" ? null : content.length);
  });
}

test("zstd made from a pipe declares no length, and is unpacked nevertheless", async (t) => {
  const path = join(temporaryFolder(t), "file");
  writeFileSync(path, execFileSync("zstd", ["-c", "-19"], { input: second }));
  assert.equal(await declaredContentBytes(path, "zstd"), null);
  assert.ok((await unpack(path, "zstd")).equals(second));
});

test("a zstd window above 128 MiB, as zstd --long makes it, is unpacked when memory suffices", async (t) => {
  const path = join(temporaryFolder(t), "file");
  // From a pipe the length is unknown, so the window has the requested size.
  writeFileSync(path, execFileSync("zstd", ["-c", "-1", "--long=28"], { input: first }));
  assert.ok((await unpack(path, "zstd")).equals(first));
});

test("a zstd window that does not fit the memory is refused with its size", async (t) => {
  const path = join(temporaryFolder(t), "file");
  // A frame header (RFC 8878, 3.1.1.1) with a window of 1 TiB, and an empty last block.
  writeFileSync(path, Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 30 << 3, 1, 0, 0]));
  await assert.rejects(unpack(path, "zstd"), /needs 1\.0 TiB of memory/);
});

test("a file that is truncated at any point, or has trailing data, is an error", async (t) => {
  const path = join(temporaryFolder(t), "file");
  const whole = Buffer.concat([zstdCompressSync(first), withChecksum]);
  for (const cut of [1, 3, 4, 5, 100, withChecksum.length - 1, withChecksum.length + 1, whole.length - 5]) {
    writeFileSync(path, whole.subarray(0, whole.length - cut));
    await assert.rejects(unpack(path, "zstd"), `cut by ${cut}`);
  }
  writeFileSync(path, Buffer.concat([whole, Buffer.from("garbage that is long enough")]));
  await assert.rejects(unpack(path, "zstd"), /no zstd frame begins/);
  const damaged = Buffer.from(whole);
  damaged[200_000] = (damaged[200_000] ?? 0) ^ 255;
  writeFileSync(path, Buffer.concat([withChecksum.subarray(0, -1), Buffer.from([0])]));
  await assert.rejects(unpack(path, "zstd"), /checksum|corrupt/i);
});
