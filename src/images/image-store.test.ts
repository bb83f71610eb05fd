import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { isSolsticeError } from "../core/errors.ts";
import type { ImageDefinition } from "../core/image-map/image-map.ts";
import { type ImageStore, openImageStore } from "./image-store.ts";
import type { ImageLimits } from "./limits.ts";
import {
  type GivenImage,
  imageDefinition,
  imageMapOf,
  noise,
  quickLimits,
  sha256,
  startFileServer,
  temporaryFolder,
} from "./testing/fixtures.ts";
import type { ImageProgress, ImageState } from "./types.ts";

const content = noise(300_000);

async function setUp(t: TestContext) {
  const folder = temporaryFolder(t);
  const server = await startFileServer(t, content);
  const image = (name: string, given: GivenImage = {}) =>
    imageDefinition({ name, localPath: join(folder, `${name}.img`), source: server.url, ...given });
  const open = (images: ImageDefinition[], limits: Partial<ImageLimits> = {}) => {
    const store = openImageStore({
      imageMap: imageMapOf(...images),
      dataDir: join(folder, "data"),
      limits: { ...quickLimits, ...limits },
    });
    t.after(() => store.close());
    return store;
  };
  return { folder, server, image, open };
}

/** Resolves with the state of `name` once it has the given kind. */
function whenState(store: ImageStore, name: string, kind: ImageState["kind"]): Promise<ImageState> {
  return new Promise((resolve) => {
    const look = () => {
      const state = store.state(name);
      if (state.kind !== kind) return;
      stop();
      resolve(state);
    };
    const stop = store.onChange(look);
    look();
  });
}

const forever = new AbortController().signal;

test("an existing image is ready at once, and its digest is computed; the others are prepared in the background", async (t) => {
  const { open, image, server } = await setUp(t);
  const present = image("present");
  writeFileSync(present.localPath, content);
  const store = open([present, image("fetched")]);
  await store.start(forever);
  assert.equal(store.state("present").kind, "ready");
  assert.equal(store.state("fetched").kind, "preparing");
  const fetched = await whenState(store, "fetched", "ready");
  assert.deepEqual(fetched, {
    kind: "ready",
    path: image("fetched").localPath,
    format: "raw",
    virtualSizeBytes: content.length,
    fileSizeBytes: content.length,
    digest: sha256(content),
  });
  while (store.state("present").kind === "ready" && !digestOf(store, "present")) {
    await new Promise(setImmediate);
  }
  assert.equal(digestOf(store, "present"), sha256(content));
  assert.equal(server.ranges.length, 1);
});

function digestOf(store: ImageStore, name: string): string | null {
  const state = store.state(name);
  return state.kind === "ready" ? state.digest : null;
}

test("an invalid image does not stop the others", async (t) => {
  const { open, image, server, folder } = await setUp(t);
  const broken = image("broken");
  writeFileSync(broken.localPath, "<html>not an image</html>");
  const store = open(
    [
      broken,
      image("gone", { source: server.url.replace("http:", "http://nobody:1@").replace("nobody:1@//", "") }),
      image("wrong", { sha256: "0".repeat(64) }),
      image("nowhere", { source: join(folder, "nothing") }),
      image("good"),
    ],
    { concurrency: 1 },
  );
  await store.start(forever);
  await whenState(store, "good", "ready");
  for (const name of ["broken", "wrong", "nowhere"]) {
    const state = await whenState(store, name, "failed");
    assert.ok(state.kind === "failed" && state.permanent, name);
    assert.ok((state.retryAt ?? 0) > Date.now() + 60_000, "the retry is far in the future");
  }
});

test("a temporary failure is retried automatically until it succeeds", async (t) => {
  const { open, image, server } = await setUp(t);
  server.always = { status: 503 };
  const store = open([image("later")]);
  await store.start(forever);
  const failed = await whenState(store, "later", "failed");
  assert.ok(failed.kind === "failed" && !failed.permanent && /503/.test(failed.message));
  server.always = {};
  await whenState(store, "later", "ready");
});

test("pull ends the pause after a failure, and every reader gets the result", async (t) => {
  const { open, image, server } = await setUp(t);
  server.always = { status: 404 };
  const store = open([image("corrected")]);
  await store.start(forever);
  await whenState(store, "corrected", "failed");
  server.always = {};
  const progress: ImageProgress[] = [];
  const ready = await store.pull("corrected", { onProgress: (step) => progress.push(step) });
  assert.equal(ready.digest, sha256(content));
  assert.equal(store.state("corrected").kind, "ready");
  assert.ok(progress.some(({ phase }) => phase === "downloading"));
  rmSync(image("corrected").localPath);
  await whenState(store, "corrected", "preparing");
  await whenState(store, "corrected", "ready");
});

test("two pulls at once share one download, and an aborted pull does not stop the other", async (t) => {
  const { open, image, server } = await setUp(t);
  const store = open([image("shared")]);
  const impatient = new AbortController();
  const first = store.pull("shared");
  const second = store.pull("shared", { signal: impatient.signal });
  impatient.abort(new Error("no time"));
  await assert.rejects(second, /no time/);
  await first;
  assert.equal(server.ranges.length, 1);
});

test("a removed image is fetched again", async (t) => {
  const { open, image, server } = await setUp(t);
  const store = open([image("fleeting")]);
  await store.start(forever);
  await whenState(store, "fleeting", "ready");
  rmSync(image("fleeting").localPath);
  await whenState(store, "fleeting", "preparing");
  await whenState(store, "fleeting", "ready");
  assert.equal(server.ranges.length, 2);
});

test("the error for an unknown name lists the known names", async (t) => {
  const { open, image } = await setUp(t);
  const store = open([image("one"), image("two")]);
  const isHelpful = (error: unknown) =>
    isSolsticeError(error, "not_found") && error.remedy === "Known images: one, two.";
  assert.throws(() => store.state("three"), isHelpful);
  await assert.rejects(store.pull("three"), isHelpful);
});

test("close stops a download at once, and the next store resumes it", async (t) => {
  const { open, image, server } = await setUp(t);
  server.script.push({ stallAfter: 200_000 });
  const store = open([image("cut")], { stalledSeconds: 60 });
  await store.start(forever);
  while (progressOf(store, "cut") === 0) await new Promise(setImmediate);
  await store.close();
  const [row] = await store.inspect();
  assert.equal(row?.state, "partial");
  assert.ok((row?.partialBytes ?? 0) > 0);
  assert.equal(row?.totalBytes, content.length);
  await open([image("cut")]).pull("cut");
  assert.match(server.ranges[1] ?? "", /^bytes=/);
});

function progressOf(store: ImageStore, name: string): number {
  const state = store.state(name);
  return state.kind === "preparing" ? state.doneBytes : 0;
}

test("inspect reports why the last attempt failed, also when no byte arrived, until an attempt succeeds", async (t) => {
  const { open, image, server } = await setUp(t);
  server.always = { status: 503 };
  const images = [image("down", { source: `${server.url}?sig=SECRETSIG` })];
  await assert.rejects(open(images).pull("down"));
  const [row] = await open(images).inspect();
  assert.deepEqual([row?.state, row?.partialBytes], ["missing", null]);
  assert.match(
    row?.message ?? "",
    /^20\S+Z: http:\S+\/image\?\*\*\* could not be downloaded: The server answered 503/,
  );
  server.always = {};
  await open(images).pull("down");
  assert.equal((await open(images).inspect())[0]?.message, null);
});

test("progress is reported before the first answer, and with the reason of a failed attempt", async (t) => {
  const { open, image, server } = await setUp(t);
  server.script.push({ status: 503 });
  const reports: ImageProgress[] = [];
  await open([image("slow")]).pull("slow", { onProgress: (progress) => reports.push(progress) });
  assert.deepEqual(reports[0], { phase: "downloading", doneBytes: 0, totalBytes: null });
  assert.match(reports[1]?.trouble ?? "", /answered 503/);
  assert.equal(reports.findLast(({ phase }) => phase === "downloading")?.trouble, undefined);
});

test("inspect reports the state on disk without a running store", async (t) => {
  const { open, image } = await setUp(t);
  const bad = image("bad");
  writeFileSync(bad.localPath, "BZh91AY");
  const images = [image("fetched"), image("missing"), bad];
  await open(images).pull("fetched");
  const rows = await open(images).inspect();
  assert.deepEqual(
    rows.map(({ name, state, digest }) => [name, state, digest]),
    [
      ["fetched", "ready", sha256(content)],
      ["missing", "missing", null],
      ["bad", "invalid", null],
    ],
  );
  assert.match(rows[2]?.message ?? "", /bzip2/);
});

test("a new map applies at once: unchanged images continue, new ones are prepared, work on removed ones ends", async (t) => {
  const { open, image, server } = await setUp(t);
  const [kept, changed, gone, late] = ["kept", "changed", "gone", "late"].map((name) => image(name));
  assert.ok(kept && changed && gone && late);
  for (const { localPath } of [kept, changed]) writeFileSync(localPath, content);
  const store = open([kept, changed, gone]);
  await store.start(forever);
  await whenState(store, "gone", "ready");
  const requests = server.requests.length;

  const news = { ...changed, defaults: { cpu: 2, ramMb: 1, diskGb: 1 } };
  const show = await store.stage(imageMapOf(kept, news, late));
  assert.equal(store.state("gone").kind, "ready", "nothing changes before the new map is applied");
  const seen: string[] = [];
  store.onChange((name) => void seen.push(name));
  show();
  assert.throws(() => store.state("gone"), /no image gone/);
  assert.equal(store.state("kept").kind, "ready");
  assert.equal(store.state("changed").kind, "ready", "an existing file is ready at once");
  assert.deepEqual(seen, ["changed", "gone", "late"], "unchanged images continue undisturbed");
  await whenState(store, "late", "ready");
  assert.ok(server.requests.length > requests);
});

test("a download for a replaced map stops, and the next download of that file resumes", async (t) => {
  const { open, image, server } = await setUp(t);
  server.script.push({ stallAfter: 200_000 });
  const store = open([image("cut")], { stalledSeconds: 3600 });
  await store.start(forever);
  while (progressOf(store, "cut") === 0) await new Promise(setImmediate);
  const show = await store.stage(imageMapOf(image("cut", { seed: "vfat" })));
  show();
  await whenState(store, "cut", "ready");
  assert.match(server.ranges[1] ?? "", /^bytes=/);
});
