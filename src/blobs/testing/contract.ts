import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { type BlobFacts, type BlobStore, blobPartBytes } from "../blob-store.ts";

/** Opens an empty store that is removed after the test. */
export type OpenEmptyStore = (context: TestContext) => Promise<BlobStore>;

const limitBytes = 100 * blobPartBytes;

/** Returns the SHA-256 (hex) of `bytes`. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A stream of `bytes` in pieces of an odd length. */
export async function* inPieces(bytes: Uint8Array, pieceBytes = 70_001): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

/** Reads the blob's bytes from `offset`; null when there is no such blob. */
export async function readAll(store: BlobStore, key: string, offset?: number): Promise<Buffer | null> {
  const stream = await store.read(key, offset);
  return stream && Buffer.concat(await stream.toArray());
}

async function keysOf(store: BlobStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys.sort();
}

/** Contract suite: the tests that every blob store passes. */
export function blobStoreContract(name: string, openEmpty: OpenEmptyStore): void {
  describe(`blob store: ${name}`, () => {
    for (const size of [0, 1, 100_000, blobPartBytes, 2 * blobPartBytes + 12_345]) {
      test(`${size} bytes are read back unchanged`, async (context) => {
        const store = await openEmpty(context);
        const bytes = randomBytes(size);
        const written = await store.write("cache/a.b-c_d/1", inPieces(bytes), { limitBytes });
        assert.deepEqual(written, { sizeBytes: size, sha256: sha256(bytes) });
        assert.deepEqual(await readAll(store, "cache/a.b-c_d/1"), bytes);
        const facts = (await store.stat("cache/a.b-c_d/1")) as BlobFacts;
        assert.deepEqual([facts.key, facts.sizeBytes], ["cache/a.b-c_d/1", size]);
      });
    }

    test("a blob can be read from any offset, also from its end and beyond", async (context) => {
      const store = await openEmpty(context);
      const bytes = randomBytes(5000);
      await store.write("a/b", inPieces(bytes, 999), { limitBytes });
      for (const offset of [0, 1, 4999, 5000, 9000])
        assert.deepEqual(await readAll(store, "a/b", offset), bytes.subarray(offset), `from ${offset}`);
    });

    test("a stream that fails or is too long stores nothing, and an older blob stays", async (context) => {
      const store = await openEmpty(context);
      await store.write("a/kept", inPieces(Buffer.from("old")), { limitBytes });
      // Long enough that a bucket has started a multipart upload.
      async function* failing() {
        yield randomBytes(blobPartBytes + 100);
        yield randomBytes(blobPartBytes);
        throw new Error("the guest disconnected");
      }
      for (const key of ["a/kept", "a/new"]) {
        await assert.rejects(store.write(key, failing(), { limitBytes }), /the guest disconnected/);
        const tooLong = store.write(key, inPieces(randomBytes(101)), { limitBytes: 100 });
        await assert.rejects(tooLong, { code: "limit_exceeded" });
      }
      assert.equal(await store.stat("a/new"), null);
      assert.equal(String(await readAll(store, "a/kept")), "old");
      assert.deepEqual(await keysOf(store, ""), ["a/kept"]);
      assert.equal(await store.removeLeftovers(Date.now() + 60_000), 0);
    });

    test("a staged file becomes a blob and is removed; the same key again replaces the blob", async (context) => {
      const store = await openEmpty(context);
      for (const size of [0, 7, blobPartBytes + 5]) {
        const bytes = randomBytes(size);
        const path = join(store.stagingDirectory, `file-${size}`);
        await writeFile(path, bytes);
        await store.adopt("a/b", path);
        assert.deepEqual(await readAll(store, "a/b"), bytes);
        await assert.rejects(store.adopt("a/b", path), { code: "ENOENT" });
      }
    });

    test("a missing blob reads as null, and can be removed", async (context) => {
      const store = await openEmpty(context);
      assert.equal(await store.read("no/such/blob"), null);
      assert.equal(await store.stat("no/such"), null);
      await store.remove("no/such/blob");
      await store.write("no/such/blob", inPieces(Buffer.from("x")), { limitBytes });
      await store.remove("no/such/blob");
      assert.equal(await store.read("no/such/blob"), null);
      assert.deepEqual(await keysOf(store, ""), []);
    });

    test("blobs are listed by the beginning of their keys", async (context) => {
      const store = await openEmpty(context);
      const keys = ["artifacts/j1/1/a", "artifacts/j1/2/b", "artifacts/j10/1/c", "cache/j1/d"];
      for (const key of keys) await store.write(key, inPieces(Buffer.from(key)), { limitBytes });
      assert.deepEqual(await keysOf(store, ""), keys);
      assert.deepEqual(await keysOf(store, "artifacts/j1/"), keys.slice(0, 2));
      assert.deepEqual(await keysOf(store, "artifacts/j1"), keys.slice(0, 3));
      assert.deepEqual(await keysOf(store, "nothing/"), []);
    });

    test("an invalid key is rejected before anything changes", async (context) => {
      const store = await openEmpty(context);
      for (const key of [
        "",
        "/etc/passwd",
        "a/../b",
        "../a",
        "a//b",
        "a/",
        "A/b",
        "a\0b",
        ".hidden",
        "a".repeat(501),
      ])
        await assert.rejects(
          async () => store.write(key, inPieces(Buffer.from("x")), { limitBytes }),
          TypeError,
        );
    });

    test("many blobs are written, read and removed at once", async (context) => {
      const store = await openEmpty(context);
      const work = Array.from({ length: 12 }, async (_, at) => {
        const bytes = randomBytes(50_000 + at);
        const key = `a/${at % 3}/${at}`;
        await store.write(key, inPieces(bytes), { limitBytes });
        assert.deepEqual(await readAll(store, key), bytes);
        await store.remove(key);
      });
      await Promise.all(work);
      assert.deepEqual(await keysOf(store, ""), []);
    });
  });
}
