import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { noise, temporaryFolder } from "../testing/fixtures.ts";
import { inspectImage } from "./image-format.ts";

const inspect = (path: string) => inspectImage(path, { format: null, maxVirtualSizeBytes: 2 * 1024 ** 4 });
const mebibyte = 1024 ** 2;

/** Creates a file with a given name in a folder of its own. */
function fileOf(t: TestContext, content: Buffer): string {
  const path = join(temporaryFolder(t), "file");
  writeFileSync(path, content);
  return path;
}

/** Creates a disk of this format with a few areas of data. */
function diskAs(t: TestContext, format: string, ...options: string[]): string {
  const raw = fileOf(t, Buffer.concat([noise(mebibyte), Buffer.alloc(2 * mebibyte), noise(mebibyte)]));
  const path = `${raw}.${format}`;
  execFileSync("qemu-img", ["convert", "-f", "raw", "-O", format, ...options, raw, path]);
  return path;
}

for (const [format, ...options] of [
  ["qcow2"],
  ["qcow2", "-c"],
  ["qcow2", "-o", "compat=0.10,cluster_size=4096"],
  ["qcow2", "-o", "extended_l2=on,cluster_size=128k"],
  ["qcow2", "-o", "preallocation=metadata"],
] as const) {
  test(`${[format, ...options].join(" ")}: a complete disk is ready, and a truncated one is rejected`, async (t) => {
    const path = diskAs(t, format, ...options);
    const { size } = statSync(path);
    assert.equal((await inspect(path)).virtualSizeBytes, 4 * mebibyte);
    for (const share of [0.9, 0.5, 0.1]) {
      truncateSync(path, Math.floor(size * share));
      await assert.rejects(inspect(path), /truncated: its tables point beyond its end/, String(share));
    }
    truncateSync(path, 65_536);
    await assert.rejects(inspect(path), /truncated|invalid cluster offset/);
  });
}

test("a qcow2 with overwritten tables is rejected", async (t) => {
  const path = diskAs(t, "qcow2");
  const content = readFileSync(path);
  const l1At = Number(content.readBigUInt64BE(40));
  for (const damage of [
    (bytes: Buffer) => bytes.writeBigUInt64BE(0x8000_0000_0000_1200n, l1At),
    (bytes: Buffer) => bytes.writeUInt32BE(0, 36),
    (bytes: Buffer) => bytes.writeUInt32BE(0xffffffff, 36),
    (bytes: Buffer) => bytes.writeUInt32BE(0, 56),
    (bytes: Buffer) => bytes.writeUInt32BE(31, 20),
    (bytes: Buffer) => bytes.writeBigUInt64BE(2n, 72),
  ]) {
    const bytes = Buffer.from(content);
    damage(bytes);
    writeFileSync(path, bytes);
    await assert.rejects(inspect(path), /damaged|does not fit|no usable|invalid cluster offset|corrupt/);
  }
});

for (const [format, name, ...options] of [
  ["vpc", "vhd", "-o", "subformat=dynamic"],
  ["vpc", "vhd", "-o", "subformat=fixed"],
  ["vhdx", "vhdx"],
  ["vmdk", "vmdk"],
  ["vmdk", "vmdk", "-o", "subformat=streamOptimized"],
  ["vmdk", "vmdk", "-o", "subformat=monolithicFlat"],
  ["vdi", "vdi"],
  ["qed", "qed"],
  ["qcow", "qcow"],
  ["parallels", "parallels"],
] as const) {
  test(`${[format, ...options].join(" ")} is named, with the command that converts it`, async (t) => {
    await assert.rejects(inspect(diskAs(t, format, ...options)), (error: Error & { remedy?: string }) => {
      assert.match(error.message, new RegExp(`looks like ${name},`));
      assert.match(error.remedy ?? "", /qemu-img convert/);
      return true;
    });
  });
}

/** Commands that archive one small file; `{}` is the file. */
const archives: readonly [name: string, command: string][] = [
  ["lzma", "xz --format=lzma --stdout {}"],
  ["xz", "xz --stdout {}"],
  ["lz4", "lz4 -q -c {}"],
  ["lz4", "lz4 -q -l -c {}"],
  ["bzip2", "bzip2 -c {}"],
  ["tar", "tar --format=v7 -cf - {}"],
  ["tar", "tar --format=gnu -cf - {}"],
  ["tar", "tar --format=pax -cf - {}"],
  ["cpio", "echo {} | cpio -o -H newc"],
  ["cpio", "echo {} | cpio -o -H bin"],
  ["iso9660", "xorriso -as mkisofs -quiet -o - {}"],
];

for (const [name, command] of archives) {
  const program = command.replace(/^echo \{\} \| /, "").split(" ")[0] ?? "";
  const skip =
    execFileSync("sh", ["-c", `command -v ${program} || :`]).length === 0 && `${program} is missing`;
  test(`${command} is named`, { skip }, async (t) => {
    const path = fileOf(t, noise(50_000));
    const output = execFileSync("sh", ["-c", `${command.replace("{}", path)} 2>/dev/null`]);
    writeFileSync(path, output);
    await assert.rejects(inspect(path), new RegExp(`looks like ${name},`));
  });
}

test("a page or text that a server sends instead of an image is named", async (t) => {
  const sentences = "sign in ".repeat(200);
  for (const [content, name] of [
    [`<!-- portal -->\n<html><body>${sentences}</body></html>`, "web page"],
    [`<head><title>401</title></head>${sentences}`, "web page"],
    [`\ufeff\r\n  <?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>`, "web page"],
    ['{"message":"Not Found"}', "text file"],
    [`version https://git-lfs.github.com/spec/v1\noid sha256:${"a".repeat(64)}\nsize 1\n`, "text file"],
    [`Überraschung ${"ä".repeat(3000)}`, "text file"],
  ] as const) {
    await assert.rejects(
      inspect(fileOf(t, Buffer.from(content))),
      new RegExp(`looks like ${name},`),
      content,
    );
  }
  const wide = Buffer.from(`\ufeff<html>${sentences}`, "utf16le");
  await assert.rejects(inspect(fileOf(t, wide)), /looks like web page,/);
  await assert.rejects(inspect(fileOf(t, Buffer.from(wide).swap16())), /looks like web page,/);
});

/** First sectors of a disk of 64 MiB whose only partition reaches to its end. */
function partitionTable(label: "mbr" | "gpt"): Buffer {
  const head = Buffer.alloc(3 * 512);
  head.writeUInt16LE(0xaa55, 510);
  head[446 + 4] = label === "mbr" ? 0x83 : 0xee;
  head.writeUInt32LE(label === "mbr" ? 2048 : 1, 446 + 8);
  head.writeUInt32LE(label === "mbr" ? 131_072 - 2048 : 0xffffffff, 446 + 12);
  if (label === "mbr") return head;
  head.write("EFI PART", 512);
  head.writeBigUInt64LE(2n, 512 + 72);
  head.writeUInt32LE(128, 512 + 80);
  head.writeUInt32LE(128, 512 + 84);
  head[1024] = 1;
  head.writeBigUInt64LE(2048n, 1024 + 32);
  head.writeBigUInt64LE(131_071n, 1024 + 40);
  return head;
}

for (const label of ["mbr", "gpt"] as const) {
  test(`a raw disk (${label}) is ready when complete, and rejected when truncated`, async (t) => {
    const path = fileOf(t, partitionTable(label));
    truncateSync(path, 64 * mebibyte);
    assert.equal((await inspect(path)).format, "raw");
    truncateSync(path, 40 * mebibyte);
    await assert.rejects(
      inspect(path),
      /truncated: its partitions end at 64.0 MiB, and the file has 40.0 MiB/,
    );
  });
}

test("a file system with boot code in place of the partition table is a raw disk", async (t) => {
  const sector = noise(mebibyte);
  sector[446] = 0x17;
  sector.writeUInt16LE(0xaa55, 510);
  assert.equal((await inspect(fileOf(t, sector))).format, "raw");
});
