import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { getJob } from "../../store/jobs/jobs.ts";
import { setMachineState } from "../../store/jobs/machines.ts";
import { appendLog, logStatus } from "../../store/logs/logs.ts";
import { openSqliteStore, type Store } from "../../store/store.ts";
import { end, insertClaimed } from "../../store/testing/sample-jobs.ts";
import { type RetentionContext, runRetention } from "./retention-loop.ts";
import { createRetentionState } from "./retention-state.ts";

const mebibyte = 1024 * 1024;
const daySeconds = 24 * 3600;

/** A host's retention with an empty store, and its log lines. */
async function setUp(context: TestContext, config: Partial<OrchestratorConfig>) {
  const dataDir = mkdtempSync(join(tmpdir(), "solstice-retention-"));
  const store = await openSqliteStore({ path: join(dataDir, "solstice.db") });
  context.after(async () => {
    await store.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const lines: string[] = [];
  const note = (_facts: object, line: string) => void lines.push(line);
  const host = {
    config: {
      dataDir,
      imageMap: { defaultLabel: "any", aliases: new Map(), sizes: new Map(), images: new Map() },
      amqp: null,
      jobRetentionSeconds: 0,
      logStoreLimitBytes: 0,
      imageRetentionSeconds: 0,
      ...config,
    },
    store,
    log: { debug: note, info: note, warn: note, error: note },
    phase: "serving",
    retention: createRetentionState(),
  } as unknown as RetentionContext;
  return { host, store, lines, dataDir };
}

async function insertFinished(store: Store, id: string, given: { at: number; bytes: number }): Promise<void> {
  await insertClaimed(store, id);
  const data = randomBytes(given.bytes);
  await appendLog(store, { jobId: id, attempt: 1, stream: "output", offset: 0, data, limitBytes: 1e9 });
  await setMachineState(store, { jobId: id, attempt: 1, state: "gone", at: given.at });
  await end(store, id, "completed", given.at);
}

test("any number of old jobs is removed, and new jobs stay", async (context) => {
  const { host, store, lines } = await setUp(context, { jobRetentionSeconds: daySeconds });
  const old = Date.now() - 2 * daySeconds * 1000;
  for (let index = 0; index < 120; index += 1)
    await insertFinished(store, `old${index}`, { at: old, bytes: 1 });
  await insertFinished(store, "young", { at: Date.now(), bytes: 7 });
  await runRetention(host);
  assert.equal(await getJob(store, "old119"), null);
  assert.equal((await getJob(store, "young"))?.id, "young");
  assert.deepEqual(host.retention, { removed: { jobs: 120, logs: 0, images: 0 }, logBytes: 7 });
  assert.deepEqual(lines, ["removed old jobs with their logs"]);
});

test("logs beyond the limit are removed, oldest first, until a tenth of the limit is free", async (context) => {
  const { host, store, lines } = await setUp(context, { logStoreLimitBytes: 10 * mebibyte });
  for (let index = 0; index < 11; index += 1) {
    await insertFinished(store, `job${index}`, { at: 1000 + index, bytes: mebibyte });
  }
  await runRetention(host);
  assert.equal(host.retention.logBytes, 9 * mebibyte);
  assert.equal(host.retention.removed.logs, 2);
  const expired = async (jobId: string) =>
    (await logStatus(store, { jobId, attempt: 1, stream: "output" })).expiredAt !== null;
  assert.deepEqual([await expired("job1"), await expired("job2")], [true, false]);
  await runRetention(host);
  assert.deepEqual(lines, ["removed the oldest logs"]);
});

test("hosts that remove logs concurrently exceed the target by at most a tenth of the limit", async (context) => {
  const kibibyte = 1024;
  const { host, store } = await setUp(context, { logStoreLimitBytes: 300 * kibibyte });
  for (let index = 0; index < 120; index += 1) {
    await insertFinished(store, `job${index}`, { at: 1000 + index, bytes: 10 * kibibyte });
  }
  // Another host removes the same logs after this host has listed the first, which this host counts as its
  // own.
  const other = { ...host, retention: createRetentionState() };
  let isOthersTurn = true;
  const write: Store["write"] = async (work) => {
    if (isOthersTurn) {
      isOthersTurn = false;
      await runRetention(other);
    }
    return store.write(work);
  };
  await runRetention({ ...host, store: { ...store, write } });
  const logBytes = host.retention.logBytes ?? 0;
  assert.ok(logBytes >= 240 * kibibyte && logBytes <= 270 * kibibyte, `${logBytes} bytes are left`);
});

test("with a retention of for ever all is kept, and a failure of one kind does not stop the others", async (context) => {
  const { host, store, lines, dataDir } = await setUp(context, {
    imageRetentionSeconds: 1,
    logStoreLimitBytes: mebibyte,
  });
  await insertFinished(store, "job1", { at: 1000, bytes: 2 * mebibyte });
  const folder = join(dataDir, "images", ".solstice");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "gone.img.part"), "part");
  writeFileSync(join(folder, "gone.img.unused"), "2020-01-01T00:00:00Z");
  // The images that guests use cannot be read, so no image may be removed.
  writeFileSync(join(dataDir, "guests"), "not a directory");
  await runRetention(host);
  assert.ok(existsSync(join(folder, "gone.img.part")));
  assert.equal(host.retention.removed.logs, 1);
  assert.equal((await getJob(store, "job1"))?.id, "job1");
  assert.equal(lines.length, 2);
  assert.match(lines[1] ?? "", /^retention could not remove unused images: /);
  rmSync(join(dataDir, "guests"));
  await runRetention(host);
  assert.equal(host.retention.removed.images, 1);
});
