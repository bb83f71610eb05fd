import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { isSolsticeError } from "../../core/errors.ts";
import type { ImageChecksum } from "../../core/image-map/image-map.ts";
import { prepareImage } from "../prepare/prepare-image.ts";
import {
  imageDefinition,
  noise,
  recordingContext,
  startFileServer,
  temporaryFolder,
} from "../testing/fixtures.ts";

const content = noise(300_000);
const other = noise(300_000);
const sumOf = (algorithm: "sha256" | "sha512", bytes: Buffer) =>
  createHash(algorithm).update(bytes).digest("hex");
const digest = (algorithm: "sha256" | "sha512", bytes: Buffer): ImageChecksum => {
  return { kind: "digest", algorithm, hex: sumOf(algorithm, bytes) };
};

/** Starts a server with an image, and one with its checksum file; `prepare` uses them. */
async function setUp(t: TestContext, list: string | Buffer = "") {
  const folder = temporaryFolder(t);
  const images = await startFileServer(t, content);
  const lists = await startFileServer(t, Buffer.from(list));
  const localPath = join(folder, "images", "disk.img");
  const checksumOfList: ImageChecksum = { kind: "list", location: lists.url };
  const prepare = (checksum: ImageChecksum | null = checksumOfList, source: string | null = images.url) =>
    prepareImage(imageDefinition({ localPath, source, checksum }), recordingContext(folder));
  return { folder, images, lists, localPath, prepare };
}

const fails = (promise: Promise<unknown>, code: "image_invalid" | "not_found", text: RegExp) =>
  assert.rejects(promise, (error: unknown) => {
    assert.ok(isSolsticeError(error, code), String(error));
    assert.match(`${error.message} ${error.remedy}`, text);
    return true;
  });

test("a SHA-512 is compared, also after a resumed download, and recorded", async (t) => {
  const { images, localPath, prepare } = await setUp(t);
  images.script.push({ cutAfter: 200_000 });
  await fails(
    prepare(digest("sha512", other)),
    "image_invalid",
    /has SHA-512 [0-9a-f]{128}, and the map says/,
  );
  assert.ok(!existsSync(localPath));
  images.script.push({ cutAfter: 200_000 });
  assert.equal((await prepare(digest("sha512", content))).digest, sumOf("sha256", content));
  const requests = images.ranges.length;
  await prepare(digest("sha512", content));
  assert.equal(images.ranges.length, requests, "the recorded checksum is used");
  images.content = other;
  images.etag = '"two"';
  await prepare(digest("sha512", other));
  assert.equal(images.ranges.length, requests + 1, "another checksum fetches the image again");
});

test("the checksum file's digest of the image's own file is used, and the file is requested once", async (t) => {
  const list = `${sumOf("sha256", other)} *other\r\n${sumOf("sha256", content)} *image\r\n`;
  const { images, lists, localPath, prepare } = await setUp(t, Buffer.from(`\ufeff${list}`));
  await prepare();
  await prepare();
  assert.deepEqual([images.ranges.length, lists.ranges.length], [1, 1]);
  lists.content = Buffer.from(`\ufeff${list}`, "utf16le");
  rmSync(localPath);
  await prepare();
  images.content = other;
  rmSync(localPath);
  await fails(prepare(), "image_invalid", /and the checksum file http:\S+ says [0-9a-f]{64}\. Try again/);
});

test("a checksum file that is missing, too long or has no entry for the image is an error before the image is fetched", async (t) => {
  const { images, lists, prepare } = await setUp(
    t,
    `${sumOf("sha256", other)}  a\n${sumOf("sha256", other)}  b\n`,
  );
  await fails(prepare(), "not_found", /has no SHA-256 or SHA-512 of image\..*has entries for: a, b\./);
  lists.always = { status: 404 };
  await fails(prepare(), "not_found", /checksum file .* could not be fetched: The server answered 404/);
  lists.always = {};
  lists.content = Buffer.alloc(2 * 1024 * 1024, "x\n");
  await fails(prepare(), "image_invalid", /larger than the limit/);
  assert.equal(images.ranges.length, 0);
});

test("an image fetched before the map named a checksum file is compared with it, and fetched again only if it differs", async (t) => {
  const { images, lists, prepare } = await setUp(t, sumOf("sha512", content));
  await prepare(null);
  await prepare();
  assert.equal(images.ranges.length, 1);
  await prepare();
  assert.deepEqual([images.ranges.length, lists.ranges.length], [1, 1], "the comparison is recorded");
  images.content = other;
  images.etag = '"two"';
  lists.content = Buffer.from(sumOf("sha512", other));
  await prepare({ kind: "list", location: `${lists.url}?other` });
  assert.equal(images.ranges.length, 2);
});

test("a request for a checksum file that fails temporarily is retried", async (t) => {
  const { lists, prepare } = await setUp(t, sumOf("sha512", content));
  lists.script.push({ status: 503 }, { cutAfter: 10 });
  await prepare();
  assert.equal(lists.ranges.length, 3);
});

test("a checksum file may be local, and applies to an image that the operator put in place", async (t) => {
  const { folder, localPath, prepare } = await setUp(t);
  const location = join(folder, "SHA256SUMS");
  const checksum: ImageChecksum = { kind: "list", location };
  await fails(prepare(checksum), "not_found", /cannot be read: .*Put the file there/);
  writeFileSync(location, `${sumOf("sha256", content)}  image\n${sumOf("sha512", other)}  disk.img\n`);
  await prepare(checksum);
  rmSync(join(folder, "images"), { recursive: true });
  await prepare(null);
  rmSync(join(folder, "images", ".solstice"), { recursive: true });
  const byHand = `${localPath} has SHA-512 ${sumOf("sha512", content)}, and the checksum file`;
  await fails(prepare(checksum, null), "image_invalid", new RegExp(byHand));
  writeFileSync(location, `${sumOf("sha512", content)}  disk.img\n`);
  assert.equal((await prepare(checksum, null)).digest, sumOf("sha256", content));
});
