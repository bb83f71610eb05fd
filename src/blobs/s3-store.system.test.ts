import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { blobPartBytes } from "./blob-store.ts";
import { openS3Store } from "./s3-store.ts";
import { blobStoreContract, inPieces, readAll } from "./testing/contract.ts";
import { PrivateSwift, swiftCredentials, swiftMissing } from "./testing/private-swift.ts";

describe("S3", { skip: swiftMissing }, () => {
  let server: PrivateSwift;
  let buckets = 0;
  before(async () => {
    server = await PrivateSwift.start();
  });
  after(() => server?.stop());

  async function openEmpty(context: TestContext) {
    const bucket = `bucket-${buckets++}`;
    await server.createBucket(bucket);
    const stagingDirectory = mkdtempSync(join(tmpdir(), "solstice-s3-"));
    const { endpoint } = server;
    const store = await openS3Store({
      bucket,
      prefix: "ci/",
      endpoint,
      region: "us-east-1",
      stagingDirectory,
      environment: swiftCredentials,
      // A small page, so that every list of the contract takes several pages.
      pageSize: 2,
    });
    context.after(() => {
      store.close();
      rmSync(stagingDirectory, { recursive: true });
    });
    return store;
  }

  blobStoreContract("S3", openEmpty);

  test("a server that dies during an upload: no blob appears, the file stays, and a repeated call stores it", async (context) => {
    const store = await openEmpty(context);
    const bytes = randomBytes(3 * blobPartBytes + 5);
    async function* dying() {
      yield bytes.subarray(0, 2 * blobPartBytes + 1);
      await server.kill();
      yield bytes.subarray(2 * blobPartBytes + 1);
    }
    await assert.rejects(store.write("a/b", dying(), { limitBytes: 1e9 }), { code: "unavailable" });
    const path = join(store.stagingDirectory, "file");
    writeFileSync(path, bytes);
    await assert.rejects(store.adopt("a/b", path), { code: "unavailable" });
    await server.restart();
    assert.equal(await store.stat("a/b"), null);
    // The leftovers of the interrupted upload are found by their age, and removed.
    assert.equal(await store.removeLeftovers(Date.now() - 3_600_000), 0);
    assert.equal(await store.removeLeftovers(Date.now() + 3_600_000), 1);
    await store.adopt("a/b", path);
    assert.deepEqual(await readAll(store, "a/b"), bytes);
    await store.write("a/c", inPieces(bytes), { limitBytes: 1e9 });
    assert.deepEqual(await readAll(store, "a/c", bytes.length - 10), bytes.subarray(-10));
  });

  test("the error for a missing bucket does not contain the secret", async (context) => {
    const store = await openEmpty(context);
    const options = {
      prefix: "",
      endpoint: server.endpoint,
      region: "us-east-1",
      stagingDirectory: store.stagingDirectory,
      environment: swiftCredentials,
    };
    const nowhere = await openS3Store({ ...options, bucket: "no-such-bucket" });
    await assert.rejects(
      nowhere.write("a", inPieces(Buffer.from("x")), { limitBytes: 9 }),
      (error: Error) => {
        assert.match(error.message, /^s3:\/\/no-such-bucket\/ cannot be used \(NoSuchBucket, HTTP 404\)/);
        assert.ok(!error.message.includes(swiftCredentials.AWS_SECRET_ACCESS_KEY));
        return true;
      },
    );
  });
});
