import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { ImageDefinition } from "../../core/image-map/image-map.ts";
import { runCommand } from "../../host/command.ts";
import { tryAcquireProcessLock } from "../../host/process-lock.ts";
import { backingFile } from "../formats/backing-file.ts";
import { imageFiles } from "../image-files.ts";
import { imageDefinition, imageMapOf, recordingContext, temporaryFolder } from "../testing/fixtures.ts";
import { prepareImage } from "./prepare-image.ts";
import { removeUnusedImages } from "./unused-images.ts";

const day = 24 * 60 * 60 * 1000;
const start = Date.parse("2026-01-01T00:00:00Z");

/**
 * Creates a data directory with the prepared image `old`, and a function that checks it `days` later, with a map of
 * `images`.
 */
async function dataDirWithImage(t: TestContext) {
  const dataDir = temporaryFolder(t);
  const source = join(dataDir, "published.img");
  writeFileSync(source, Buffer.alloc(1024 * 1024, "image"));
  const localPath = join(dataDir, "images", "old.img");
  const old = imageDefinition({ name: "old", source, localPath });
  await prepareImage(old, recordingContext(dataDir));
  const look = (days: number, ...images: ImageDefinition[]) =>
    removeUnusedImages({
      dataDir,
      imageMap: imageMapOf(...images),
      retentionMs: 30 * day,
      now: start + days * day,
    });
  return { dataDir, old, localPath, look, files: imageFiles(localPath) };
}

test("an image that the map does not name is removed with its files after the retention", async (t) => {
  const { localPath, look, files } = await dataDirWithImage(t);
  writeFileSync(files.part, "part");
  writeFileSync(files.partState, "{}");
  assert.deepEqual(await look(0), []);
  assert.deepEqual(await look(29), []);
  const removed = await look(30);
  assert.equal(removed[0]?.path, localPath);
  assert.ok((removed[0]?.bytes ?? 0) >= 1024 * 1024);
  assert.equal(existsSync(localPath), false);
  assert.deepEqual(readdirSync(files.folder), ["old.img.lock"]);
  assert.deepEqual(await look(99), []);
});

test("the retention starts again for an image that was named again, and the source of a named image counts as named", async (t) => {
  const { old, localPath, look } = await dataDirWithImage(t);
  await look(0);
  await look(29, old);
  await look(31);
  assert.deepEqual(await look(60), []);
  await look(
    61,
    imageDefinition({ name: "copy", source: `file://${localPath}`, localPath: "/srv/copy.img" }),
  );
  assert.deepEqual(await look(90), []);
  assert.ok(existsSync(localPath));
});

test("an operator's file stays, with any name and also with recorded facts", async (t) => {
  const { localPath, look, files, dataDir } = await dataDirWithImage(t);
  writeFileSync(join(dataDir, "images", "mine.img"), "mine");
  // A replaced file no longer belongs to this program.
  writeFileSync(`${localPath}.new`, Buffer.alloc(1024 * 1024, "other"));
  renameSync(`${localPath}.new`, localPath);
  await look(0);
  assert.deepEqual(await look(40), []);
  assert.equal(readFileSync(localPath, "utf8").slice(0, 5), "other");
  assert.ok(existsSync(files.facts));
  assert.ok(existsSync(join(dataDir, "images", "mine.img")));
});

test("an image stays while a guest's disk is based on it, or while it is being prepared", async (t) => {
  const { dataDir, localPath, look, files } = await dataDirWithImage(t);
  const guest = join(dataDir, "guests", "job-1");
  mkdirSync(guest, { recursive: true });
  const overlay = join(guest, "overlay.qcow2");
  await runCommand("qemu-img", ["create", "-q", "-f", "qcow2", "-b", localPath, "-F", "raw", overlay]);
  assert.equal(await backingFile(overlay), localPath);
  await look(0);
  assert.deepEqual(await look(40), []);
  renameSync(overlay, join(dataDir, "elsewhere.qcow2"));
  const lock = tryAcquireProcessLock(files.lock, "preparing");
  assert.deepEqual(await look(41), []);
  lock?.release();
  assert.equal((await look(42)).length, 1);
});

test("only an overlay has a backing file", async (t) => {
  const folder = temporaryFolder(t);
  const plain = join(folder, "plain.qcow2");
  await runCommand("qemu-img", ["create", "-q", "-f", "qcow2", plain, "1M"]);
  assert.equal(await backingFile(plain), null);
  const overlay = join(folder, "overlay.qcow2");
  const relative = ["-b", "plain.qcow2", "-F", "qcow2"];
  await runCommand("qemu-img", ["create", "-q", "-f", "qcow2", ...relative, overlay], { cwd: folder });
  assert.equal(await backingFile(overlay), plain);
  writeFileSync(join(folder, "short"), "QFI");
  assert.equal(await backingFile(join(folder, "short")), null);
  assert.equal(await backingFile(join(folder, "missing")), null);
  const damaged = readFileSync(overlay);
  damaged.writeUInt32BE(2 ** 31, 16);
  writeFileSync(overlay, damaged);
  await assert.rejects(backingFile(overlay), /backing file of 2147483648 bytes/);
});
