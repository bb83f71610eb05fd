import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { type ErrorCode, isSolsticeError } from "../../core/errors.ts";
import {
  type GivenImage,
  imageDefinition,
  noise,
  recordingContext,
  sha256,
  startFileServer,
  temporaryFolder,
} from "../testing/fixtures.ts";
import { prepareImage } from "./prepare-image.ts";

const content = noise(600_000);

async function setUp(t: TestContext, published = content) {
  const folder = temporaryFolder(t);
  const server = await startFileServer(t, published);
  const localPath = join(folder, "images", "disk.img");
  const context = recordingContext(folder);
  const prepare = (given: GivenImage = {}) =>
    prepareImage(imageDefinition({ localPath, source: server.url, ...given }), context);
  return { folder, server, localPath, context, prepare };
}

const withCode =
  (code: ErrorCode, text: RegExp = /./) =>
  (error: unknown) => {
    assert.ok(isSolsticeError(error, code), String(error));
    assert.match(`${error.message} ${error.remedy}`, text);
    return true;
  };

function xz(bytes: Buffer): Buffer {
  return execFileSync("xz", ["-c"], { input: bytes, maxBuffer: 1e9 });
}

for (const [decompress, published] of [
  ["none", content],
  ["zstd", zstdCompressSync(content)],
  ["gzip", gzipSync(content)],
  ["xz", xz(content)],
] as const) {
  test(`fetches, verifies and unpacks: ${decompress}`, async (t) => {
    const { prepare, localPath, context } = await setUp(t, published);
    const ready = await prepare({ decompress, sha256: sha256(published) });
    assert.deepEqual(ready, {
      path: localPath,
      format: "raw",
      virtualSizeBytes: content.length,
      fileSizeBytes: content.length,
      digest: sha256(published),
    });
    assert.ok(readFileSync(localPath).equals(content));
    assert.equal(statSync(localPath).mode & 0o777, 0o444);
    assert.deepEqual(
      [...new Set(context.reports.map(({ phase }) => phase))],
      ["downloading", "verifying", "unpacking"],
    );
    assert.deepEqual(readdirSync(join(localPath, "../.solstice")).sort(), ["disk.img.json", "disk.img.lock"]);
    assert.deepEqual(
      await prepare({ decompress, sha256: sha256(published) }),
      ready,
      "and the image is used afterwards",
    );
  });

  test(`rejects a file without this compression: ${decompress}`, async (t) => {
    const other = decompress === "gzip" ? zstdCompressSync(content) : gzipSync(content);
    const { prepare, localPath } = await setUp(t, other);
    await assert.rejects(prepare({ decompress }), withCode("image_invalid", /Set decompress: (gzip|zstd)/));
    assert.ok(!existsSync(localPath));
  });

  // The bytes of an uncompressed image cannot show a wrong compression.
  if (decompress === "none") continue;
  test(`rejects a truncated file that the server sends as complete: ${decompress}`, async (t) => {
    const { prepare, localPath } = await setUp(t, published.subarray(0, published.length - 9));
    await assert.rejects(prepare({ decompress }), withCode("image_invalid", /cannot be unpacked/));
    assert.ok(!existsSync(localPath));
  });
}

test("a wrong checksum leaves no file behind, and the error has both sums", async (t) => {
  const { prepare, server, localPath } = await setUp(t);
  const wanted = sha256(noise(10));
  await assert.rejects(prepare({ sha256: wanted }), withCode("image_invalid", new RegExp(wanted)));
  assert.ok(!existsSync(localPath));
  server.ranges.length = 0;
  await prepare({ sha256: sha256(content).toUpperCase() });
  assert.deepEqual(server.ranges, [null], "the wrong bytes were not resumed");
});

test("resumes where the connection broke, repeatedly", async (t) => {
  const { prepare, server, localPath } = await setUp(t);
  server.script.push({ cutAfter: 300_000 }, { status: 503 }, { cutAfter: 100_000 }, { cutAfter: 0 });
  await prepare({ sha256: sha256(content) });
  assert.ok(readFileSync(localPath).equals(content));
  assert.equal(server.ranges[0], null);
  for (const range of server.ranges.slice(1)) assert.match(range ?? "", /^bytes=[1-9]\d*-$/);
  assert.ok(server.requests.slice(1).every((headers) => headers["if-range"] === '"one"'));
});

test("a later call resumes the download of a failed one", async (t) => {
  const { prepare, server, localPath } = await setUp(t);
  server.script.push({ cutAfter: 300_000 });
  server.always = { status: 500 };
  await assert.rejects(
    prepare(),
    withCode("image_download_failed", /answered 500.*resume after the first \d+ bytes/),
  );
  server.always = {};
  server.ranges.length = 0;
  await prepare();
  assert.match(server.ranges[0] ?? "", /^bytes=[1-9]\d*-$/);
  assert.ok(readFileSync(localPath).equals(content));
});

test("starts again when the file changed at its source", async (t) => {
  const { prepare, server, localPath } = await setUp(t);
  server.script.push({ cutAfter: 300_000 });
  server.always = { status: 500 };
  await assert.rejects(prepare());
  server.always = {};
  server.etag = '"two"';
  server.content = noise(500_000);
  await prepare();
  assert.ok(readFileSync(localPath).equals(server.content));
});

for (const [what, liar] of [
  ["ignores the range", { ignoreRange: true }],
  ["sends another range than requested", { rangeShift: 7 }],
  ["continues with another version", { headers: { etag: '"other"' } }],
] as const) {
  test(`detects a server that ${what}`, async (t) => {
    const { prepare, server, localPath } = await setUp(t);
    server.script.push({ cutAfter: 300_000 }, liar);
    await prepare();
    assert.ok(readFileSync(localPath).equals(content));
  });
}

test("the rest is requested when a server sends less than requested", async (t) => {
  const { prepare, server, localPath } = await setUp(t);
  server.script.push({ cutAfter: 300_000 });
  server.always = { maxRangeBytes: 100_000 };
  await prepare();
  assert.ok(server.ranges.length >= 4);
  assert.ok(readFileSync(localPath).equals(content));
});

test("a download without a validator is not resumed, unless a checksum is compared", async (t) => {
  const { prepare, server, localPath } = await setUp(t);
  server.etag = 'W/"weak"';
  server.script.push({ cutAfter: 300_000 });
  await prepare();
  assert.deepEqual(server.ranges, [null, null]);
  execFileSync("rm", ["-rf", join(localPath, "..")]);
  server.ranges.length = 0;
  server.script.push({ cutAfter: 300_000 });
  await prepare({ sha256: sha256(content) });
  assert.match(server.ranges[1] ?? "", /^bytes=/);
});

test("Last-Modified is used when there is no ETag", async (t) => {
  const { prepare, server } = await setUp(t);
  server.etag = null;
  server.lastModified = "Sat, 01 Nov 2025 10:00:00 GMT";
  server.script.push({ cutAfter: 300_000 });
  await prepare();
  assert.equal(server.requests[1]?.["if-range"], server.lastModified);
});

test("a body without a length is complete when it ends normally, and incomplete when the connection breaks", async (t) => {
  const { prepare, server, localPath } = await setUp(t);
  server.script.push({ withoutLength: true, cutAfter: 300_000 });
  server.always = { withoutLength: true };
  await prepare();
  assert.equal(server.ranges.length, 2);
  assert.ok(readFileSync(localPath).equals(content));
});

test("an invalid file of unknown length may be truncated: it is retried soon, until the same number of bytes arrives again", async (t) => {
  const whole = gzipSync(content);
  const { prepare, server, localPath } = await setUp(t, whole.subarray(0, 300_000));
  server.always = { withoutLength: true };
  const cut = withCode(
    "image_download_failed",
    /may be truncated.*300000 bytes.*cannot be unpacked.*retries soon/,
  );
  await assert.rejects(prepare({ decompress: "gzip" }), cut);
  await assert.rejects(prepare({ decompress: "gzip" }), withCode("image_invalid", /cannot be unpacked/));
  server.content = whole.subarray(0, 400_000);
  await assert.rejects(prepare({ decompress: "gzip" }), withCode("image_download_failed", /400000 bytes/));
  server.content = whole;
  await prepare({ decompress: "gzip" });
  assert.ok(readFileSync(localPath).equals(content));
});

for (const [what, behaviour] of [
  ["stops in the middle of the body", { stallAfter: 1000 }],
  ["sends a byte now and then", { trickleMs: 50 }],
] as const) {
  test(`the download fails when a server ${what}`, async (t) => {
    const { prepare, server } = await setUp(t);
    server.always = behaviour;
    await assert.rejects(prepare(), withCode("image_download_failed"));
    assert.ok(server.ranges.length >= 2, "the download was retried");
  });
}

test("a permanent failure is not retried", async (t) => {
  const { prepare, server } = await setUp(t);
  server.always = { status: 404 };
  await assert.rejects(prepare(), withCode("not_found", /answered 404/));
  server.always = { redirectTo: server.url };
  await assert.rejects(prepare(), withCode("not_found", /redirects more than 10 times/));
  server.always = { redirectTo: "file:///etc/passwd" };
  await assert.rejects(prepare(), withCode("not_found", /redirects to something that is not http/));
  assert.equal(server.ranges.length, 1 + 11 + 1);
});

test("follows a redirect, and sends the password only to the host of the map", async (t) => {
  const { prepare, server, localPath } = await setUp(t);
  const mirror = await startFileServer(t, content);
  server.script.push({ redirectTo: mirror.url });
  await prepare({ source: server.url.replace("//", "//user:secret@") });
  assert.ok(readFileSync(localPath).equals(content));
  assert.equal(server.requests[0]?.authorization, `Basic ${btoa("user:secret")}`);
  assert.equal(mirror.requests[0]?.authorization, undefined);
});

test("a web page instead of the image is rejected", async (t) => {
  const { prepare } = await setUp(t, Buffer.from("<!DOCTYPE html><p>Please accept our terms"));
  await assert.rejects(prepare(), withCode("image_invalid", /web page/));
  await assert.rejects(prepare({ decompress: "zstd" }), withCode("image_invalid", /web page/));
});

test("a source larger than the limit is rejected before and during the download", async (t) => {
  const { server, localPath, folder } = await setUp(t);
  const context = recordingContext(folder, { downloadBytes: 500_000 });
  const definition = imageDefinition({ localPath, source: server.url });
  await assert.rejects(prepareImage(definition, context), withCode("image_invalid", /larger than the limit/));
  server.always = { withoutLength: true };
  await assert.rejects(prepareImage(definition, context), withCode("image_invalid", /larger than the limit/));
});

test("an image that unpacks to more than the limit is rejected", async (t) => {
  const { server, localPath, folder } = await setUp(t, zstdCompressSync(Buffer.alloc(10_000_000)));
  const context = recordingContext(folder, { virtualSizeBytes: 5_000_000 });
  const definition = imageDefinition({ localPath, source: server.url, decompress: "zstd" });
  await assert.rejects(prepareImage(definition, context), withCode("image_invalid", /unpacks to more/));
  assert.deepEqual(readdirSync(join(localPath, "..")), [".solstice"]);
});

test("too little space is reported before anything is written", async (t) => {
  const { server, localPath, folder } = await setUp(t);
  const context = recordingContext(folder, { freeFloorBytes: 2 ** 60 });
  const definition = imageDefinition({ localPath, source: server.url });
  await assert.rejects(
    prepareImage(definition, context),
    withCode("disk_full", /needs \d+ TiB of free space, and has/),
  );
  assert.equal(statSync(join(localPath, "../.solstice/disk.img.part")).size, 0);
});

test("a local source is used in place, and an operator's file is not changed", async (t) => {
  const { prepare, localPath, folder } = await setUp(t);
  const original = join(folder, "original.zst");
  writeFileSync(original, zstdCompressSync(content));
  for (const source of [original, `file://${original}`]) {
    await prepare({ source, decompress: "zstd" });
    assert.ok(readFileSync(localPath).equals(content));
    assert.ok(existsSync(original));
    execFileSync("rm", [localPath]);
  }
  await assert.rejects(prepare({ source: join(folder, "nothing") }), withCode("not_found"));
  await assert.rejects(prepare({ source: null }), withCode("image_unavailable", /Put the file there/));
  writeFileSync(localPath, zstdCompressSync(content));
  await assert.rejects(prepare(), withCode("image_invalid", /looks like zstd/));
  assert.ok(existsSync(localPath));
});

test("the checksum of an operator's file is compared, and the result recorded", async (t) => {
  const { prepare, localPath, context, server } = await setUp(t);
  await prepare();
  execFileSync("rm", ["-rf", join(localPath, "../.solstice")]);
  await assert.rejects(prepare({ sha256: sha256(noise(9)) }), withCode("image_invalid", /Remove .*disk.img/));
  const sum = sha256(content);
  context.reports.length = 0;
  assert.equal((await prepare({ sha256: sum })).digest, sum);
  assert.equal(context.reports.length, 0, "the file was not read again");
  assert.equal(server.ranges.length, 1);
});

test("a new checksum in the map fetches the image again", async (t) => {
  const { prepare, server, localPath } = await setUp(t);
  await prepare({ sha256: sha256(content) });
  server.content = noise(700_000);
  server.etag = '"two"';
  await prepare({ sha256: sha256(server.content) });
  assert.ok(readFileSync(localPath).equals(server.content));
});

test("cancelling stops the download, keeps the received bytes, and rejects with the reason", async (t) => {
  const { prepare, server, localPath, context } = await setUp(t);
  server.script.push({ stallAfter: 200_000 });
  const preparation = prepare();
  const reason = new Error("stop it");
  const rejected = assert.rejects(preparation, reason);
  while (!context.reports.some(({ doneBytes }) => doneBytes > 0)) await new Promise(setImmediate);
  context.controller.abort(reason);
  await rejected;
  assert.ok(statSync(join(localPath, "../.solstice/disk.img.part")).size > 0);
});
