import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import {
  bootJob,
  endAttempt,
  insertTestJob,
  openTestStore,
  postJson,
  startTestRunnerServer,
  startTestUserServer,
} from "../../api/testing/fixture.ts";
import { JobService } from "../../gen/solstice/v1/jobs_pb.ts";
import { requestCancel } from "../../store/jobs/jobs.ts";
import type { Store } from "../../store/store.ts";
import { createTestCaches } from "../testing/caches.ts";
import { openTestTransfers } from "../testing/transfers.ts";
import type { CacheContext } from "./cache-context.ts";
import { cacheDownloads, cacheUploadKind } from "./cache-kind.ts";

const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");
const repository = { repo_url: "https://user:secret@git.example.org/a.git", commit_sha: "a".repeat(40) };
const npm = { key: "npm-{hash:lock}", paths: ["node_modules"], restore_keys: ["npm-"] };
const key = `npm-${"0".repeat(32)}`;

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** A guest that makes any call with the token of its job. */
interface Guest {
  readonly jobId: string;
  call(method: string, body: object): Promise<Answer>;
  /** Sends an entry as a runner does. Returns the answers to SaveCache before and after the upload. */
  save(requested: { key: string; data: Buffer; index?: number }): Promise<Answer[]>;
  restore(requested: { key: string; restoreKeys?: string[] }): Promise<Answer>;
  download(entryId: string): Promise<{ status: number; data: Buffer }>;
  end(): Promise<void>;
}

async function setUp(t: TestContext, given: Partial<CacheContext> = {}) {
  const store = await openTestStore(t);
  const caches = createTestCaches(store, given);
  const kinds = {
    uploads: { cache: cacheUploadKind(caches) },
    downloads: { cache: cacheDownloads(store) },
  };
  const transfers = await openTestTransfers(t, store, { kinds });
  const server = await startTestRunnerServer(t, { store, caches, transfers });
  const startGuest = (request: object = {}) =>
    start(store, server.url, { ref: "refs/heads/main", cache: npm, ...repository, ...request });
  return { store, caches, transfers, startGuest };
}

async function start(store: Store, url: string, request: object): Promise<Guest> {
  const booted = await bootJob(store, (await insertTestJob(store, { request })).id);
  const rpc = (method: string, body: object, token = booted.sessionToken) =>
    postJson(`${url}/solstice.v1.RunnerService/${method}`, { body, token });
  await rpc("Start", { sessionToken: booted.sessionToken }, booted.bootstrapToken);
  const authorization = `Bearer ${booted.sessionToken}`;
  return {
    jobId: booted.jobId,
    call: (method, body) => rpc(method, body),
    async save({ key: saved, data, index = 0 }) {
      const about = {
        index,
        key: saved,
        compression: "gzip",
        firstPartBytes: "3",
        size: String(data.length),
      };
      const before = await rpc("SaveCache", about);
      if (before.body.outcome !== "send") return [before];
      const name = Buffer.from(String(before.body.uploadName)).toString("base64");
      const begun = await rpc("BeginUpload", { kind: "cache", name, size: String(data.length) });
      const { uploadId } = begun.body;
      await fetch(`${url}/v1/uploads/${uploadId}?offset=0`, {
        method: "POST",
        headers: { authorization },
        body: new Uint8Array(data),
      });
      await rpc("FinishUpload", { uploadId, sha256: sha256(data) });
      return [before, await rpc("SaveCache", about)];
    },
    restore: ({ key: requested, restoreKeys = ["npm-"] }) =>
      rpc("RestoreCache", { index: 0, key: requested, restoreKeys }),
    async download(entryId) {
      const answer = await fetch(`${url}/v1/downloads/cache/${entryId}`, { headers: { authorization } });
      return { status: answer.status, data: Buffer.from(await answer.arrayBuffer()) };
    },
    end: () => endAttempt(store, booted, "settle_succeeded"),
  };
}

const outcomes = (answers: Answer[]) => answers.map(({ body }) => body.outcome);

test("an entry that one job saved is restored by another, byte for byte", async (t) => {
  const { startGuest, caches } = await setUp(t);
  const one = await startGuest();
  assert.equal((await one.restore({ key })).body.outcome, "miss");
  const data = randomBytes(100_000);
  assert.deepEqual(outcomes(await one.save({ key, data })), ["send", "saved"]);
  await one.end();

  const two = await startGuest();
  const { body } = await two.restore({ key });
  const archive = body.archive as Record<string, string>;
  assert.deepEqual(
    [body.outcome, archive.key, archive.size, archive.sha256, archive.compression, archive.firstPartBytes],
    ["hit", key, "100000", sha256(data), "gzip", "3"],
  );
  assert.deepEqual((await two.download(archive.entryId ?? "")).data, data);
  const other = `npm-${"1".repeat(32)}`;
  assert.equal((await two.restore({ key: other })).body.outcome, "partial");
  assert.deepEqual(outcomes(await two.save({ key, data })), ["exists"]);
  assert.deepEqual(caches.counts.restores, { hit: 1, partial: 0, miss: 1 }, "a repeat counts once");
  assert.deepEqual(caches.counts.bytes, { restored: 100_000, saved: 100_000 });
});

test("a fork's job restores, and never saves, with any call", async (t) => {
  const { startGuest, transfers } = await setUp(t);
  const data = Buffer.from("hostile");
  await (await startGuest()).save({ key, data: Buffer.from("reviewed") });
  const fork = await startGuest({ from_fork: true, ref: "refs/pull/7/head" });
  const { body } = await fork.restore({ key });
  assert.equal(body.outcome, "hit");
  const { entryId = "" } = body.archive as Record<string, string>;
  assert.equal((await fork.download(entryId)).data.toString(), "reviewed");
  const other = `npm-${"2".repeat(32)}`;
  assert.deepEqual(outcomes(await fork.save({ key: other, data })), ["read_only"]);
  // A custom runner skips SaveCache and uploads directly.
  for (const name of [`0 gzip 0 ${other}`, `0 gzip 0 ${key}`, "anything"]) {
    const upload = { kind: "cache", name: Buffer.from(name).toString("base64"), size: "7" };
    const begun = await fork.call("BeginUpload", upload);
    assert.match(String(begun.body.refusal), /fork/);
    const { uploadId } = begun.body;
    const finished = await fork.call("FinishUpload", { uploadId, sha256: sha256(data) });
    assert.notEqual(finished.status, 200);
  }
  const blobs = await Array.fromAsync(transfers.blobs.list("cache/"));
  assert.equal(blobs.length, 1);
  const main = await startGuest();
  assert.equal((await main.restore({ key: other, restoreKeys: ["npm-"] })).body.outcome, "partial");
});

test("a guest cannot use a key, cache or upload that is not in its request", async (t) => {
  const { startGuest } = await setUp(t);
  const guest = await startGuest();
  for (const body of [
    { index: 1, key, restoreKeys: ["npm-"] },
    { index: 0, key: "npm-x", restoreKeys: ["npm-"] },
    { index: 0, key: `${key}0`, restoreKeys: ["npm-"] },
    { index: 0, key, restoreKeys: ["n"] },
    { index: 0, key, restoreKeys: [] },
    { index: 0, key, restoreKeys: ["npm-", ""] },
  ]) {
    const answer = await guest.call("RestoreCache", body);
    assert.equal(answer.status, 400, JSON.stringify(body));
  }
  for (const body of [
    { index: 0, key: "other", size: "5", compression: "gzip" },
    { index: 9, key, size: "5", compression: "gzip" },
    { index: 0, key, size: "5", compression: "rot13" },
  ]) {
    assert.equal((await guest.call("SaveCache", body)).status, 400, JSON.stringify(body));
  }
  for (const name of [
    `0 gzip 0 other`,
    `1 gzip 0 ${key}`,
    `0 rot13 0 ${key}`,
    `0 gzip 9 ${key}`,
    `0 gzip -1 ${key}`,
    key,
  ]) {
    const upload = { kind: "cache", name: Buffer.from(name).toString("base64"), size: "7" };
    assert.equal((await guest.call("BeginUpload", upload)).status, 400, name);
  }
  const without = await startGuest({ cache: undefined });
  assert.equal((await without.call("RestoreCache", { index: 0, key })).status, 400);
});

test("a guest downloads only entries that RestoreCache returned, and only while its job runs", async (t) => {
  const { startGuest } = await setUp(t);
  const one = await startGuest();
  await one.save({ key, data: Buffer.from("one") });
  const two = await startGuest();
  const { body } = await two.restore({ key });
  const { entryId = "" } = body.archive as Record<string, string>;
  const stranger = await startGuest({ repo_url: "https://git.example.org/b.git" });
  assert.equal((await stranger.restore({ key })).body.outcome, "miss");
  assert.equal((await stranger.download(entryId)).status, 404);
  assert.equal((await two.download(entryId)).status, 200);
  await two.end();
  assert.equal((await two.download(entryId)).status, 401);
  assert.equal((await two.restore({ key })).status, 401);
});

test("a branch does not restore another branch's entries; all restore a shared branch's", async (t) => {
  const { startGuest } = await setUp(t);
  await (await startGuest({ ref: "refs/heads/topic" })).save({ key, data: Buffer.from("topic") });
  const outcomeOn = async (ref: string) => (await (await startGuest({ ref })).restore({ key })).body.outcome;
  assert.equal(await outcomeOn("refs/heads/main"), "miss");
  assert.equal(await outcomeOn("refs/heads/other"), "miss");
  assert.equal(await outcomeOn("refs/heads/topic"), "hit");
  assert.deepEqual(outcomes(await (await startGuest()).save({ key, data: Buffer.from("main") })), [
    "send",
    "saved",
  ]);
  assert.equal(await outcomeOn("refs/heads/other"), "hit");
});

test("of two concurrent saves of one key, one is kept and the other receives exists", async (t) => {
  let sweeps = 0;
  const { startGuest } = await setUp(t, { wakeSweep: () => (sweeps += 1) });
  const guests = [await startGuest(), await startGuest()];
  const answers = await Promise.all(
    guests.map((guest, at) => guest.save({ key, data: Buffer.from(`${at}${at}${at}`) })),
  );
  assert.deepEqual(answers.map((answer) => outcomes(answer).at(-1)).sort(), ["exists", "saved"]);
  const { body } = await (await startGuest()).restore({ key });
  assert.equal(body.outcome, "hit");
  const { sha256: kept } = body.archive as Record<string, string>;
  assert.ok([sha256("000"), sha256("111")].includes(kept ?? ""));
  assert.ok(sweeps <= 1);
});

test("an entry that is too large is refused by SaveCache, and by BeginUpload without SaveCache", async (t) => {
  const { startGuest } = await setUp(t, { entryLimitBytes: 10, freeSpace: async () => "there is no room" });
  const guest = await startGuest();
  const answers = await guest.save({ key, data: Buffer.alloc(11) });
  assert.deepEqual([outcomes(answers), answers[0]?.body.message], [["no_room"], "there is no room"]);
  const name = Buffer.from(`0 gzip 0 ${key}`).toString("base64");
  const begun = await guest.call("BeginUpload", { kind: "cache", name, size: "11" });
  assert.match(String(begun.body.refusal), /must not exceed/);
});

test("people list and delete entries, and a job shows its cache uses", async (t) => {
  const { store, startGuest } = await setUp(t);
  const guest = await startGuest();
  await guest.restore({ key });
  await guest.save({ key, data: Buffer.from("12345") });
  const { url } = await startTestUserServer(t, { store });
  const api = createClient(JobService, createConnectTransport({ baseUrl: url, httpVersion: "1.1" }));
  const { job } = await api.get({ jobId: guest.jobId });
  assert.deepEqual(
    job?.cache.map((use) => [use.index, use.action, use.outcome, use.key, use.size]),
    [
      [0, "restore", "miss", key, 0n],
      [0, "save", "saved", key, 5n],
    ],
  );
  const { entries } = await api.listCache({ repoUrl: "https://git.example.org/a" });
  const [entry] = entries;
  assert.deepEqual(
    [entry?.repository, entry?.ref, entry?.image, entry?.key, entry?.size, entry?.jobId],
    ["https://git.example.org/a", "main", "debian-12", key, 5n, guest.jobId],
  );
  assert.deepEqual((await api.listCache({ repoUrl: "https://git.example.org/b" })).entries, []);
  await assert.rejects(api.deleteCache({}), /names no entries to delete/);
  await assert.rejects(api.deleteCache({ id: "none" }), /no entry none/);
  await assert.rejects(api.listCache({ limit: 1001 }), /At most 1000/);
  assert.equal((await api.deleteCache({ key: "x" })).deleted.length, 0);
  assert.equal((await api.deleteCache({ id: entry?.id ?? "" })).deleted.length, 1);
  assert.equal((await api.listCache({})).entries.length, 0);
});

test("a cancelled job receives stop", async (t) => {
  const { store, startGuest } = await setUp(t);
  const guest = await startGuest();
  await requestCancel(store, { jobId: guest.jobId, at: 5000 });
  assert.equal((await guest.restore({ key })).body.stop, true);
});
