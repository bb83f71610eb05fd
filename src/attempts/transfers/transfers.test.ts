import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { type TestContext, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  bootJob,
  insertTestJob,
  openTestStore,
  postJson,
  startTestRunnerServer,
} from "../../api/testing/fixture.ts";
import { openDirectoryStore } from "../../blobs/directory-store.ts";
import { silentLog } from "../../core/log.ts";
import { RunnerService } from "../../gen/solstice/v1/runner_pb.ts";
import { getUpload } from "../../store/files/uploads.ts";
import { largeLimits, openTestTransfers } from "../testing/transfers.ts";
import { artifactNameBytes, createArtifactKind } from "./artifact-kind.ts";
import { transferLimits } from "./transfer-kinds.ts";
import { createTransfers, type TransfersOptions } from "./transfers.ts";

type Options = Parameters<typeof openTestTransfers>[2];

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const base64 = (text: string | Uint8Array) => Buffer.from(text).toString("base64");

/** A job whose runner has started, at a real endpoint. */
async function setUp(t: TestContext, options: Options = {}) {
  const store = await openTestStore(t);
  const transfers = await openTestTransfers(t, store, options);
  const server = await startTestRunnerServer(t, { store, transfers });
  const guest = await startGuest(store, server.url);
  return { store, transfers, server, ...guest };
}

async function startGuest(
  store: Awaited<ReturnType<typeof openTestStore>>,
  url: string,
  request: object = { artifacts: [{ paths: ["**"] }] },
) {
  const { id } = await insertTestJob(store, { request });
  const booted = await bootJob(store, id);
  const token = booted.sessionToken;
  const call = (method: string, body: object, as = token) =>
    postJson(`${url}/solstice.v1.RunnerService/${method}`, { body, token: as });
  assert.equal((await call("Start", { sessionToken: token }, booted.bootstrapToken)).status, 200);
  const begin = (size: number, name = "dist/app.bin") =>
    call("BeginUpload", { kind: "artifact", name: base64(name), size: String(size) });
  const post = async (uploadId: string, offset: number, bytes: Uint8Array, as = token) => {
    const response = await fetch(`${url}/v1/uploads/${uploadId}?offset=${offset}`, {
      method: "POST",
      headers: { authorization: `Bearer ${as}` },
      body: Buffer.from(bytes),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const finish = (uploadId: unknown, digest = "") => call("FinishUpload", { uploadId, sha256: digest });
  return { booted, token, call, begin, post, finish };
}

test("a file sent in repeated pieces and out of order is stored with its digest", async (t) => {
  const { store, transfers, booted, begin, post, finish } = await setUp(t);
  const bytes = randomBytes(300_000);
  const begun = await begin(bytes.length);
  assert.deepEqual([begun.status, begun.body.received, begun.body.stored], [200, undefined, undefined]);
  const id = String(begun.body.uploadId);
  assert.equal((await post(id, 0, bytes.subarray(0, 100_000))).body.received, "100000");
  assert.equal((await post(id, 0, bytes.subarray(0, 100_000))).body.received, "100000");
  assert.equal((await post(id, 200_000, bytes.subarray(200_000))).body.received, "100000");
  assert.equal((await finish(id, sha256(bytes))).body.received, "100000");
  assert.equal((await begin(bytes.length)).body.received, "100000");
  assert.equal((await post(id, 50_000, bytes.subarray(50_000))).body.received, "300000");
  const finished = await finish(id, sha256(bytes));
  assert.deepEqual([finished.status, finished.body.stored], [200, true]);
  const { jobId, attempt } = booted;
  const upload = await getUpload(store, { jobId, attempt, id });
  assert.deepEqual(
    [upload?.name, upload?.sha256, upload?.sizeBytes],
    ["dist/app.bin", sha256(bytes), 300_000],
  );
  const blob = await transfers.blobs.read(upload?.blobKey ?? "");
  assert.deepEqual(Buffer.concat((await blob?.toArray()) ?? []), bytes);
  assert.deepEqual(readdirSync(transfers.blobs.stagingDirectory), []);
  // Every repeated call of the upload changes nothing.
  assert.equal((await finish(id, sha256(bytes))).body.stored, true);
  assert.equal((await begin(bytes.length)).body.stored, true);
  assert.equal((await post(id, 0, bytes)).body.stored, true);
});

test("a connection that breaks at any offset loses nothing: the next request continues there", async (t) => {
  const { server, token, begin, post, finish } = await setUp(t);
  const bytes = randomBytes(200_000);
  const id = String((await begin(bytes.length)).body.uploadId);
  let received = 0;
  for (const cut of [1, 65_535, 65_536, 65_537, 131_072, 199_999]) {
    await postAndBreak({ server, token, id }, { offset: received, bytes: bytes.subarray(received, cut) });
    received = Number((await post(id, bytes.length, Buffer.alloc(0))).body.received ?? 0);
    assert.ok(received <= cut, `${received} of at most ${cut}`);
  }
  await post(id, received, bytes.subarray(received));
  assert.equal((await finish(id, sha256(bytes))).body.stored, true);
});

/** Announces a longer body than it sends, then closes the connection. */
async function postAndBreak(
  to: { server: { port: number }; token: string; id: string },
  { offset, bytes }: { offset: number; bytes: Uint8Array },
): Promise<void> {
  const socket = connect(to.server.port, "127.0.0.1");
  const head = [
    `POST /v1/uploads/${to.id}?offset=${offset} HTTP/1.1`,
    "Host: runner",
    `Authorization: Bearer ${to.token}`,
    `Content-Length: ${bytes.length + 1}`,
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
  socket.end();
  await new Promise((resolve) => socket.once("close", resolve).resume());
}

test("bytes that differ from the guest's digest are dropped, and accepted when sent again", async (t) => {
  const { begin, post, finish } = await setUp(t);
  const bytes = randomBytes(70_000);
  const damaged = Buffer.from(bytes);
  damaged.writeUInt8(damaged.readUInt8(69_999) ^ 1, 69_999);
  const id = String((await begin(bytes.length)).body.uploadId);
  await post(id, 0, damaged);
  const answer = await finish(id, sha256(bytes));
  assert.deepEqual([answer.status, answer.body.received, answer.body.stored], [200, undefined, undefined]);
  await post(id, 0, bytes);
  assert.equal((await finish(id, sha256(bytes))).body.stored, true);
});

test("another job's upload cannot be used, and an invalid token is refused before the body is read", async (t) => {
  const { store, server, begin, post } = await setUp(t);
  const id = String((await begin(10)).body.uploadId);
  const other = await startGuest(store, server.url);
  assert.equal((await other.post(id, 0, Buffer.alloc(5))).status, 404);
  assert.equal((await other.finish(id)).status, 404);
  assert.equal((await post(id, 0, Buffer.alloc(5), "x".repeat(40))).status, 401);
  assert.equal((await post("0".repeat(32), 0, Buffer.alloc(5))).status, 404);
  // The same name in both jobs makes two files.
  await other.begin(3);
  assert.equal((await other.post(id, 0, Buffer.from("abc"))).body.received, "3");
  assert.equal((await post(id, 0, Buffer.alloc(0))).body.received, "0");
});

test("limits of a file, a job and the store refuse with a sentence; a body that is too long is an error", async (t) => {
  const limits = { fileBytes: 100, jobBytes: 150, storeBytes: 220 };
  const { store, server, begin, post } = await setUp(t, { limits });
  assert.match(String((await begin(101)).body.refusal), /^it has 101 B, .*100 B \(ARTIFACT_FILE_LIMIT_MB\)$/);
  const id = String((await begin(90)).body.uploadId);
  assert.match(String((await begin(61, "b")).body.refusal), /150 B \(ARTIFACT_JOB_LIMIT_MB\)$/);
  assert.equal((await begin(60, "b")).body.refusal, undefined);
  const other = await startGuest(store, server.url);
  assert.match(String((await other.begin(71)).body.refusal), /220 B \(ARTIFACT_STORE_LIMIT_MB\)$/);
  assert.equal((await post(id, 0, Buffer.alloc(91))).status, 429);
  const tooLong = await post(id, 0, Buffer.alloc(transferLimits.requestBytes + 1)).catch(() => null);
  assert.ok(tooLong === null || tooLong.status === 429);
});

test("names may be any bytes, and are never used as a path", async (t) => {
  const { transfers, call, post, finish } = await setUp(t);
  const names = [
    "a\nb",
    "-rf",
    " ",
    "ü",
    ".hidden",
    Buffer.from([0xff, 0xfe]),
    `${"x/".repeat(100)}${"y".repeat(200)}`,
  ];
  for (const name of names) {
    const begun = await call("BeginUpload", { kind: "artifact", name: base64(name), size: "1" });
    const id = String(begun.body.uploadId);
    await post(id, 0, Buffer.from("x"));
    assert.equal((await finish(id)).body.stored, true, String(name));
  }
  const keys: string[] = [];
  for await (const { key } of transfers.blobs.list("")) keys.push(key);
  assert.equal(keys.length, names.length);
  assert.ok(keys.every((key) => /^artifacts\/[a-z0-9-]+\/j\d{9}\/1\/[0-9a-f]{32}$/.test(key)));
  for (const name of ["", "a\0b", "x".repeat(4097)])
    assert.equal(
      (await call("BeginUpload", { kind: "artifact", name: base64(name), size: "1" })).status,
      400,
    );
  assert.equal((await call("BeginUpload", { kind: "nonsense", name: base64("a"), size: "1" })).status, 400);
});

test("a name that no pattern of the request matches is refused, and nothing is written", async (t) => {
  const { store, transfers, server, begin } = await setUp(t);
  const guest = await startGuest(store, server.url, { artifacts: [{ paths: ["dist/*.deb", "log"] }] });
  for (const name of ["dist/a.deb", "log", "log/deep/down.txt"])
    assert.equal((await guest.begin(1, name)).body.refusal, undefined, name);
  const unasked = ["Makefile", "dist/a.rpm", "dist/b/a.deb", "log/.git/config", "../log", "/log", "log/../x"];
  for (const name of unasked) {
    const { body } = await guest.begin(1, name);
    assert.equal(body.refusal, "no artifact pattern of the request matches its name", name);
  }
  const none = await startGuest(store, server.url, {});
  assert.match(String((await none.begin(1, "a")).body.refusal), /no artifact pattern of the request matches/);
  assert.match(
    String((await begin(1, "x".repeat(artifactNameBytes + 1))).body.refusal),
    /^its name has 1025 bytes, more than the limit of 1024$/,
  );
  assert.equal(readdirSync(transfers.blobs.stagingDirectory).length, 3);
});

test("after Finish uploads are refused", async (t) => {
  const { call, begin, post, finish } = await setUp(t);
  const id = String((await begin(3)).body.uploadId);
  await call("Finish", { exitCode: 0, logLength: "0", logSha256: sha256(Buffer.alloc(0)) });
  for (const refused of [await begin(3), await post(id, 0, Buffer.alloc(3)), await finish(id)]) {
    assert.equal(refused.status, 400);
    assert.match(String(refused.body.message), /already called Finish/);
  }
});

test("a file whose length changed starts again; a stored file does not change", async (t) => {
  const { begin, post, finish } = await setUp(t);
  const id = String((await begin(5)).body.uploadId);
  await post(id, 0, Buffer.from("hello"));
  assert.equal((await begin(3)).body.received, undefined);
  await post(id, 0, Buffer.from("bye"));
  assert.equal((await finish(id)).body.stored, true);
  assert.match(String((await begin(5)).body.refusal), /another length/);
});

test("an empty file is stored", async (t) => {
  const { begin, finish } = await setUp(t);
  const id = (await begin(0)).body.uploadId;
  assert.equal((await finish(id, sha256(Buffer.alloc(0)))).body.stored, true);
});

test("many concurrent files, and the same piece from several connections", async (t) => {
  const { begin, post, finish } = await setUp(t);
  const files = Array.from({ length: 8 }, async (_, at) => {
    const bytes = randomBytes(100_000 + at);
    const id = String((await begin(bytes.length, `file-${at}`)).body.uploadId);
    await Promise.all([post(id, 0, bytes), post(id, 0, bytes), post(id, 0, bytes)]);
    assert.equal((await finish(id, sha256(bytes))).body.stored, true);
  });
  await Promise.all(files);
});

test("a full disk is temporary: the runner receives a retryable error, and its upload continues", async (t) => {
  let problem: string | null = null;
  const { begin, post, finish } = await setUp(t, { diskProblem: () => problem });
  const id = String((await begin(6)).body.uploadId);
  await post(id, 0, Buffer.from("abc"));
  problem = "Only 1 MiB are free.";
  assert.equal((await post(id, 3, Buffer.from("def"))).status, 503);
  problem = null;
  assert.equal((await post(id, 3, Buffer.from("def"))).body.received, "6");
  assert.equal((await finish(id)).body.stored, true);
});

test("an upload is completed after a crash between any two steps of its end", async (t) => {
  const { store, transfers, booted, call, begin, post } = await setUp(t);
  const { blobs } = transfers;
  const crash = new Error("killed");
  const bytes = Buffer.from("content");
  const deaths: Partial<TransfersOptions>[] = [
    { blobs: { ...blobs, adopt: () => Promise.reject(crash) } },
    {
      blobs: {
        ...blobs,
        adopt: async (key, path) => {
          await blobs.adopt(key, path);
          throw crash;
        },
      },
    },
  ];
  for (const [at, death] of deaths.entries()) {
    const id = String((await begin(bytes.length, `file-${at}`)).body.uploadId);
    await post(id, 0, bytes);
    const dying = await startTestRunnerServer(t, { store, transfers: revive(store, death) });
    const url = (to: string) => `${to}/solstice.v1.RunnerService/FinishUpload`;
    const request = { body: { uploadId: id, sha256: sha256(bytes) }, token: booted.sessionToken };
    assert.equal((await postJson(url(dying.url), request)).status, 500);
    const next = await startTestRunnerServer(t, { store, transfers: revive(store, { blobs }) });
    assert.equal((await postJson(url(next.url), request)).body.stored, true);
  }
  assert.equal((await call("AppendLog", {})).status, 200);

  function revive(of: typeof store, given: Partial<TransfersOptions>) {
    return createTransfers({
      store: of,
      blobs,
      kinds: { uploads: { artifact: createArtifactKind(largeLimits) }, downloads: {} },
      hostId: "host-1",
      log: silentLog,
      now: Date.now,
      diskProblem: () => null,
      ...given,
    });
  }
});

test("an upload with gRPC alone", async (t) => {
  const { server, token } = await setUp(t);
  const client = createClient(RunnerService, createGrpcTransport({ baseUrl: server.url }));
  const as = { headers: { authorization: `Bearer ${token}` } };
  const name = Buffer.from("app");
  const { uploadId } = await client.beginUpload({ kind: "artifact", name, size: 6n }, as);
  assert.equal(
    (await client.appendUpload({ uploadId, offset: 0n, data: Buffer.from("abc") }, as)).received,
    3n,
  );
  assert.equal(
    (await client.appendUpload({ uploadId, offset: 1n, data: Buffer.from("bcdef") }, as)).received,
    6n,
  );
  assert.equal(
    (await client.finishUpload({ uploadId, sha256: sha256(Buffer.from("abcdef")) }, as)).stored,
    true,
  );
});

test("downloads: from any offset, only what the kind grants, and in bounded memory", async (t) => {
  const blobs = await openDirectoryStore(
    `${(await openTestTransfers(t, await openTestStore(t))).blobs.place}/other`,
  );
  const bytes = randomBytes(1_000_000);
  async function* source() {
    yield bytes;
  }
  const written = await blobs.write("cache/a", source(), { limitBytes: 1e9 });
  const kinds = {
    uploads: {},
    downloads: {
      cache: async (_session: unknown, id: string) =>
        id === "a" ? { ...written, blobKey: "cache/a" } : null,
    },
  };
  const { server, token } = await setUp(t, { blobs, kinds });
  const get = (path: string, headers = {}) =>
    fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${token}`, ...headers } });
  for (const offset of [0, 1, 999_999, 1_000_000]) {
    const response = await get(`/v1/downloads/cache/a?offset=${offset}`);
    assert.deepEqual([response.status, response.headers.get("solstice-sha256")], [200, sha256(bytes)]);
    assert.deepEqual(Buffer.from(await response.arrayBuffer()), bytes.subarray(offset));
  }
  const partial = await get("/v1/downloads/cache/a", { range: "bytes=10-" });
  assert.deepEqual([partial.status, partial.headers.get("content-range")], [206, "bytes 10-999999/1000000"]);
  await partial.body?.cancel();
  assert.equal((await get("/v1/downloads/cache/a?offset=1000001")).status, 416);
  assert.equal((await get("/v1/downloads/cache/b")).status, 404);
  assert.equal((await get("/v1/downloads/nothing/a")).status, 404);
  assert.equal((await get("/v1/downloads/cache/../a")).status, 404);
  assert.equal((await fetch(`${server.url}/v1/downloads/cache/a`)).status, 401);
});
