import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { blobPartBytes } from "./blob-store.ts";
import { urlOfBucket } from "./s3-client.ts";
import { openS3Store } from "./s3-store.ts";
import { inPieces } from "./testing/contract.ts";

interface Answer {
  readonly status?: number;
  readonly body?: string;
  readonly headers?: Record<string, string>;
  /** Cuts the connection instead of answering. */
  readonly cut?: true;
}

/** Starts a server that answers each call by its number and request, and records every request as `METHOD URL`. */
async function openStore(
  context: TestContext,
  answer: (at: number, request: IncomingMessage) => Answer,
  environment: Record<string, string> = {},
) {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    const { status = 200, body = "", headers = {}, cut } = answer(requests.length, request);
    request.resume().on("end", () => {
      if (cut) request.socket.destroy();
      else response.writeHead(status, headers).end(body);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const stagingDirectory = mkdtempSync(join(tmpdir(), "solstice-s3-"));
  const store = await openS3Store({
    bucket: "b",
    prefix: "p/",
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: "eu-test-1",
    stagingDirectory,
    environment: { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret", ...environment },
  });
  context.after(() => {
    store.close();
    server.close();
    server.closeAllConnections();
    rmSync(stagingDirectory, { recursive: true });
  });
  return { store, requests, calls: () => requests.map(({ method, url }) => `${method} ${url}`) };
}

const errorBody = (code: string) => `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`;
const write = { limitBytes: 100 * blobPartBytes };

for (const [name, fault] of [
  ["503 SlowDown", { status: 503, body: errorBody("SlowDown") }],
  ["500 without a body", { status: 500 }],
  ["429", { status: 429 }],
  ["400 RequestTimeout", { status: 400, body: errorBody("RequestTimeout") }],
  ["a cut connection", { cut: true }],
] as const) {
  test(`${name}: a call is attempted three times, then the bucket is unavailable`, async (context) => {
    const passing = await openStore(context, (at) => (at < 3 ? fault : {}));
    await passing.store.write("k", inPieces(Buffer.from("x")), write);
    assert.deepEqual(passing.calls(), Array(3).fill("PUT /b/p/k"));
    const lasting = await openStore(context, () => fault);
    await assert.rejects(lasting.store.write("k", inPieces(Buffer.from("x")), write), {
      code: "unavailable",
    });
    assert.equal(lasting.requests.length, 3);
  });
}

test("a refused call is not retried, and does not count as a missing blob", async (context) => {
  const { store, requests } = await openStore(context, (_, { method }) =>
    method === "HEAD" ? { status: 403 } : { status: 403, body: errorBody("AccessDenied") },
  );
  await assert.rejects(store.read("k"), { code: "unavailable", message: /AccessDenied, HTTP 403/ });
  await assert.rejects(store.stat("k"), { code: "unavailable" });
  assert.equal(requests.length, 2);
});

test("an error in an answer with status 200 is an error, and the upload is aborted", async (context) => {
  const { store, calls } = await openStore(context, (_, { method, url }) => {
    if (url?.endsWith("?uploads="))
      return {
        body: "<InitiateMultipartUploadResult><UploadId>u/1+</UploadId></InitiateMultipartUploadResult>",
      };
    if (method === "PUT") return { headers: { etag: '"e&1"' } };
    return method === "POST" ? { body: `\n\n${errorBody("InvalidPart")}` } : { status: 204 };
  });
  const bytes = Buffer.alloc(blobPartBytes + 1);
  await assert.rejects(store.write("k", inPieces(bytes), write), {
    code: "unavailable",
    message: /InvalidPart/,
  });
  const upload = "uploadId=u%2F1%2B";
  assert.deepEqual(calls(), [
    "POST /b/p/k?uploads=",
    `PUT /b/p/k?${upload}&partNumber=1`,
    `PUT /b/p/k?${upload}&partNumber=2`,
    `POST /b/p/k?${upload}`,
    `DELETE /b/p/k?${upload}`,
  ]);
});

test("a list is read to its last page; a missing continuation token is an error", async (context) => {
  const object = (key: string) =>
    `<Contents><Key>p/${key}</Key><Size>7</Size><LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>`;
  const page = (...parts: string[]) => ({ body: `<ListBucketResult>${parts.join("")}</ListBucketResult>` });
  const more = "<IsTruncated>true</IsTruncated>";
  const { store, calls } = await openStore(context, (at) => {
    if (at === 1)
      return page(more, "<NextContinuationToken>a=/+&amp;</NextContinuationToken>", object("a/1"));
    return at === 2 ? page(object("a/2")) : page(more, object("a/3"));
  });
  const listed = await Array.fromAsync(store.list("a/"));
  const modifiedAt = Date.parse("2026-01-02T03:04:05Z");
  assert.deepEqual(
    listed,
    ["a/1", "a/2"].map((key) => ({ key, sizeBytes: 7, modifiedAt })),
  );
  assert.match(calls()[1] ?? "", /&continuation-token=a%3D%2F%2B%26$/);
  await assert.rejects(Array.fromAsync(store.list("a/")), { code: "unavailable" });
});

test("a request is signed for its region, with the token of temporary credentials and the body's digest", async (context) => {
  const { store, requests } = await openStore(context, () => ({}), { AWS_SESSION_TOKEN: "tok" });
  await store.write("k", inPieces(Buffer.from("x")), write);
  const { headers } = requests[0] as IncomingMessage;
  assert.match(
    headers.authorization ?? "",
    /^AWS4-HMAC-SHA256 Credential=id\/\d{8}\/eu-test-1\/s3\/aws4_request,/,
  );
  assert.match(headers.authorization ?? "", /SignedHeaders=[^,]*x-amz-security-token/);
  assert.equal(headers["x-amz-security-token"], "tok");
  const digestOfX = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
  assert.equal(headers["x-amz-content-sha256"], digestOfX);
  assert.ok(!JSON.stringify(headers).includes("secret"));
});

test("an error is reported when the server ignores a range", async (context) => {
  const { store } = await openStore(context, () => ({ body: "everything" }));
  await assert.rejects(store.read("k", 5), { code: "unavailable" });
});

test("AWS URLs have the bucket in the host name; other servers and names with dots have it in the path", () => {
  const url = (bucket: string, endpoint: string | null, region = "eu-west-1") =>
    urlOfBucket({ bucket, endpoint, region });
  assert.equal(url("b", null), "https://b.s3.eu-west-1.amazonaws.com/");
  assert.equal(url("b", null, "cn-north-1"), "https://b.s3.cn-north-1.amazonaws.com.cn/");
  assert.equal(url("b.c", null), "https://s3.eu-west-1.amazonaws.com/b.c/");
  assert.equal(url("b", "http://s3.lan:9000/"), "http://s3.lan:9000/b/");
});
