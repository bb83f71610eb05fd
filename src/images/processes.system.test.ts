import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream, createWriteStream, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type TestContext, test } from "node:test";
import { createZstdCompress } from "node:zlib";
import { isExhaustive } from "../../test/support/sampling.ts";
import { isSolsticeError } from "../core/errors.ts";
import { openImageStore } from "./image-store.ts";
import { prepareImage } from "./prepare/prepare-image.ts";
import {
  imageDefinition,
  imageMapOf,
  noise,
  quickLimits,
  recordingContext,
  sha256,
  startFileServer,
  temporaryFolder,
} from "./testing/fixtures.ts";

const content = noise(2_000_000);
const program = new URL("./testing/pull-image.ts", import.meta.url).pathname;

interface Line {
  readonly phase?: string;
  readonly doneBytes?: number;
  readonly holderPid?: number;
  readonly ready?: object;
  readonly maxRssKib?: number;
}

function startPull(t: TestContext, input: object): { child: ChildProcess; lines: AsyncIterable<Line> } {
  const child = spawn(process.execPath, [program, JSON.stringify(input)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  assert.ok(child.stdout);
  const texts = createInterface({ input: child.stdout });
  return { child, lines: Readable.from(texts).map((text: string): Line => JSON.parse(text)) };
}

async function firstLine(lines: AsyncIterable<Line>, isIt: (line: Line) => boolean): Promise<Line> {
  for await (const line of lines) if (isIt(line)) return line;
  throw new Error("the process ended without a report");
}

async function setUp(t: TestContext) {
  const folder = temporaryFolder(t);
  const server = await startFileServer(t, content);
  const definition = imageDefinition({ localPath: join(folder, "disk.img"), source: server.url });
  const input = { definition, dataDir: join(folder, "data") };
  const store = openImageStore({ ...input, imageMap: imageMapOf(definition), limits: quickLimits });
  t.after(() => store.close());
  return { folder, server, definition, input, store };
}

test("kill -9 during a download: the next process resumes after the safely written bytes", async (t) => {
  const { server, definition, input, store } = await setUp(t);
  server.script.push({ stallAfter: 1_500_000 });
  const { child, lines } = startPull(t, { ...input, limits: { stalledSeconds: 60 } });
  await firstLine(lines, ({ doneBytes = 0 }) => doneBytes >= 1_000_000);
  assert.equal((await store.inspect())[0]?.state, "preparing");
  assert.equal((await store.inspect())[0]?.holderPid, child.pid);
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.equal((await store.inspect())[0]?.state, "partial");
  assert.ok(!existsSync(definition.localPath));
  await store.pull(definition.name);
  // The last checkpoint is before the reported position: by its distance, and by the chunk that reaches it.
  assert.ok(Number(/\d+/.exec(server.ranges[1] ?? "")?.[0]) >= 700_000, String(server.ranges[1]));
  assert.ok(readFileSync(definition.localPath).equals(content));
});

test("one of two processes downloads; the other reports the first one, waits, and finds the image ready", async (t) => {
  const { server, input, store } = await setUp(t);
  server.script.push({ stallAfter: 100_000 });
  const first = startPull(t, { ...input, limits: { stalledSeconds: 2 } });
  await firstLine(first.lines, ({ doneBytes = 0 }) => doneBytes > 0);
  const second = startPull(t, input);
  const waiting = await firstLine(second.lines, ({ phase }) => phase === "waiting");
  assert.equal(waiting.holderPid, first.child.pid);
  await Promise.all([once(first.child, "exit"), once(second.child, "exit")]);
  assert.deepEqual([first.child.exitCode, second.child.exitCode], [0, 0]);
  assert.equal(
    server.ranges.length,
    2,
    "the stalled request, its continuation, and no request of the second process",
  );
  assert.equal((await store.inspect())[0]?.digest, sha256(content));
});

test("a waiting process continues when the working one is killed", async (t) => {
  const { server, definition, input } = await setUp(t);
  server.script.push({ stallAfter: 1_500_000 });
  const first = startPull(t, { ...input, limits: { stalledSeconds: 60 } });
  await firstLine(first.lines, ({ doneBytes = 0 }) => doneBytes >= 1_000_000);
  const second = startPull(t, input);
  await firstLine(second.lines, ({ phase }) => phase === "waiting");
  first.child.kill("SIGKILL");
  await once(second.child, "exit");
  assert.equal(second.child.exitCode, 0);
  assert.ok(readFileSync(definition.localPath).equals(content));
});

const largeImageMb = isExhaustive ? 1536 : 512;

test("a large image, mostly holes, needs little memory and little disk", async (t) => {
  const folder = temporaryFolder(t);
  const source = join(folder, "big.zst");
  const definition = imageDefinition({ localPath: join(folder, "big.img"), source, decompress: "zstd" });
  await pipeline(
    Readable.from(mostlyZeros(largeImageMb)),
    createZstdCompress({ chunkSize: 1024 ** 2 }),
    createWriteStream(source),
  );
  const { lines } = startPull(t, { definition, dataDir: folder });
  const last = await firstLine(lines, ({ ready }) => ready !== undefined);
  const { size, blocks } = statSync(definition.localPath);
  assert.equal(size, largeImageMb * 1024 ** 2);
  // One MiB of every 64 MiB is data.
  assert.ok(blocks * 512 <= (largeImageMb / 64 + 2) * 1024 ** 2, `${blocks * 512} bytes on disk`);
  assert.ok((last.maxRssKib ?? 0) < 250 * 1024, `${last.maxRssKib} KiB of memory`);
  await assertSame(
    createReadStream(definition.localPath, { highWaterMark: 1024 ** 2 }),
    mostlyZeros(largeImageMb),
  );
});

const zeroMebibyte = Buffer.alloc(1024 ** 2);
const dataMebibyte = noise(1024 ** 2);

function* mostlyZeros(mebibytes: number): Generator<Buffer> {
  for (let index = 0; index < mebibytes; index += 1) yield index % 64 === 0 ? dataMebibyte : zeroMebibyte;
}

async function assertSame(file: Readable, expected: Iterable<Buffer>): Promise<void> {
  const chunks = expected[Symbol.iterator]();
  let rest = Buffer.alloc(0);
  for await (let chunk of file) {
    while (chunk.length > 0) {
      if (rest.length === 0) rest = chunks.next().value ?? rest;
      const length = Math.min(rest.length, chunk.length);
      assert.ok(length > 0 && rest.subarray(0, length).equals(chunk.subarray(0, length)));
      rest = rest.subarray(length);
      chunk = chunk.subarray(length);
    }
  }
  assert.equal(rest.length, 0);
}

test("a full disk is reported as disk_full, and no incomplete image stays in place", async (t) => {
  const folder = temporaryFolder(t);
  const disk = join(folder, "small-disk");
  mkdirSync(disk);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], { stdio: "pipe" });
  } catch (error) {
    return t.skip(`a small file system cannot be mounted here: ${error}`);
  }
  try {
    await fillDisk(t, folder, disk);
  } finally {
    execFileSync("umount", [disk]);
  }
  return undefined;
});

async function fillDisk(t: TestContext, folder: string, disk: string): Promise<void> {
  const server = await startFileServer(t, content);
  const isFull = (error: unknown) => isSolsticeError(error, "disk_full");
  const localPath = join(disk, "disk.img");
  const definition = imageDefinition({ localPath, source: server.url });

  await assert.rejects(prepareImage(definition, recordingContext(folder)), isFull);
  assert.equal(server.ranges.length, 1, "no retry follows at once");

  // Without a length the check of free space cannot predict the full disk: writing must handle it.
  server.always = { withoutLength: true };
  server.content = noise(5_000_000);
  const careless = { freeFloorBytes: 0, checkpointBytes: 2 ** 40 };
  await assert.rejects(prepareImage(definition, recordingContext(folder, careless)), isFull);
  assert.ok(!existsSync(localPath));
}
