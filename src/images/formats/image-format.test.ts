import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { noise, temporaryFolder } from "../testing/fixtures.ts";
import { inspectImage } from "./image-format.ts";

const gibibyte = 1024 ** 3;
const limit = 2048 * gibibyte;
const inspect = (path: string, format: "raw" | "qcow2" | null = null) =>
  inspectImage(path, { format, maxVirtualSizeBytes: limit });

/**
 * qemu-img measures its own key derivation, and fails when the kernel's clock of its CPU time did not advance
 * meanwhile.
 */
const clockStoodStill = "Unable to get accurate CPU usage";
const attemptsMax = 20;

function qcow2(path: string, ...args: string[]): string {
  for (let attempt = 1; ; attempt += 1) {
    const all = ["create", "-q", "-f", "qcow2", ...args.slice(0, -1), path, ...args.slice(-1)];
    const { status, stderr } = spawnSync("qemu-img", all, { encoding: "utf8" });
    if (status === 0) return path;
    if (!stderr.includes(clockStoodStill) || attempt === attemptsMax) assert.fail(stderr);
  }
}

test("the format comes from the file's content, and the size from its header", async (t) => {
  const folder = temporaryFolder(t);
  const named = qcow2(join(folder, "really-a-qcow2.img"), "5G");
  const { format, virtualSizeBytes } = await inspect(named);
  assert.deepEqual([format, virtualSizeBytes], ["qcow2", 5 * gibibyte]);
  const old = qcow2(join(folder, "old"), "-o", "compat=0.10", "1G");
  assert.equal((await inspect(old, "qcow2")).virtualSizeBytes, gibibyte);
  const raw = join(folder, "raw");
  writeFileSync(raw, noise(4096));
  assert.equal((await inspect(raw, "raw")).virtualSizeBytes, 4096);
});

test("a qcow2 that opens other files, or needs a key, is rejected", async (t) => {
  const folder = temporaryFolder(t);
  const base = qcow2(join(folder, "base"), "1G");
  const cases = {
    "a backing file": ["-b", base, "-F", "qcow2", "1G"],
    "an external data file": ["-o", `data_file=${join(folder, "data")}`, "1G"],
    encryption: [
      "--object",
      "secret,id=s,data=x",
      "-o",
      "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10",
      "64M",
    ],
  };
  for (const [what, args] of Object.entries(cases)) {
    const path = qcow2(join(folder, "bad"), ...args);
    await assert.rejects(inspect(path), new RegExp(`uses ${what}`));
  }
});

test("a file that is not a disk is rejected, with a remedy", async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, "file");
  const tar = Buffer.alloc(1024);
  tar.write("ustar", 257);
  for (const [content, text] of [
    [Buffer.alloc(0), /is empty/],
    [gzipSync(noise(1000)), /decompress: gzip|looks like gzip/],
    [Buffer.from("KDMV".padEnd(1000)), /looks like vmdk/],
    [tar, /looks like tar/],
    [Buffer.from("\n <html>"), /looks like web page/],
    [Buffer.from("QFI\xfb", "latin1"), /header is damaged/],
  ] as const) {
    writeFileSync(path, content);
    await assert.rejects(inspect(path), text);
  }
  writeFileSync(path, noise(1000));
  await assert.rejects(inspect(path, "qcow2"), /is raw, and the map says qcow2/);
  truncateSync(path, limit + 512);
  await assert.rejects(inspect(path), /the limit is 2.0 TiB/);
  await assert.rejects(inspect(qcow2(path, "3T")), /claims a disk of 3.0 TiB/);
});
