import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import type { LogKey } from "../keys.ts";
import { appendLog, compactLog, logStatus, maxChunkBytes, readLog, readLogBeyond } from "../logs/logs.ts";
import type { Store } from "../store.ts";
import { insertClaimed } from "./sample-jobs.ts";
import { type CreateDatabase, openForTest } from "./test-database.ts";

const mebibyte = 1024 * 1024;
const log = { jobId: "job1", attempt: 1, stream: "output" } as const;

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

/** Bytes with a long period, so that a misplaced piece is noticed. */
function bytes(length: number): Buffer {
  const data = Buffer.alloc(length);
  for (let at = 0; at < length; at += 1) data[at] = (at * 31 + (at >> 8) * 17 + (at >> 16) * 7) & 0xff;
  return data;
}

function append(store: Store, offset: number, data: Uint8Array, limitBytes = Infinity) {
  return appendLog(store, { ...log, offset, data, limitBytes });
}

function read(store: Store, offset: number, maxBytes: number) {
  return readLog(store, { ...log, offset, maxBytes });
}

/** Logs: every byte once, in order, complete; growing, truncated and compacted. */
export function logsContract(create: CreateDatabase): void {
  describe("logs", () => {
    appends(create);
    truncation(create);
    compaction(create);
  });
}

function appends(create: CreateDatabase): void {
  test("with repeated, overlapping and early pieces, the log is the text", async (context) => {
    const store = await openForTest(context, create);
    let attempt = 0;
    const pieces = fc.array(fc.tuple(fc.nat({ max: 200 }), fc.nat({ max: 80 })), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), pieces, async (text, order) => {
        attempt += 1;
        const key = { ...log, jobId: `p${attempt}` };
        await insertClaimed(store, key.jobId);
        let expected = 0;
        for (const [offset, length] of order) {
          const data = text.subarray(offset, offset + length);
          const answer = await appendLog(store, { ...key, offset, data, limitBytes: 1000 });
          const isGap = offset > expected;
          if (!isGap) expected = Math.max(expected, offset + data.byteLength);
          assert.deepEqual(answer, { received: expected, gap: isGap });
        }
        await appendLog(store, { ...key, offset: expected, data: text.subarray(expected), limitBytes: 1000 });
        assert.deepEqual(await readLog(store, { ...key, offset: 0, maxBytes: 1000 }), Buffer.from(text));
        const { received, sha256: digest } = await logStatus(store, key);
        assert.deepEqual([received, digest], [text.byteLength, sha256(text)]);
      }),
      { numRuns: 40 },
    );
  });

  test("tiny pieces become rows of 4 KiB, and a concurrent reader gets the same bytes", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const text = bytes(6000);
    let received = Buffer.alloc(0);
    for (let at = 0; at < text.byteLength; at += 10) {
      const appended = append(store, at, text.subarray(at, at + 10));
      if (at % 500 === 0) received = Buffer.concat([received, await read(store, received.length, mebibyte)]);
      await appended;
    }
    received = Buffer.concat([received, await read(store, received.length, mebibyte)]);
    assert.deepEqual(received, text);
    const rows = await store.db
      .selectFrom("log_chunks")
      .select(["start_offset", "length"])
      .orderBy("start_offset")
      .execute();
    const places = rows.map((row) => [row.start_offset, row.length]);
    assert.deepEqual(places, [
      [0, 4090],
      [4090, 1910],
    ]);
    const { stored_bytes } = await store.db
      .selectFrom("logs")
      .select("stored_bytes")
      .executeTakeFirstOrThrow();
    assert.equal(stored_bytes, text.byteLength);
    assert.equal((await logStatus(store, log)).sha256, sha256(text));
    await assertSlices(store, text);
  });

  test("a sender that repeats bytes across restarts stores every byte once, with the right digest", async (context) => {
    const database = await create();
    let store = await database.open();
    context.after(async () => {
      await store.close();
      await database.remove();
    });
    let run = 0;
    const call = fc.record({
      length: fc.nat({ max: 90 }),
      // Number of sent bytes that are sent again, and whether the server was restarted before.
      back: fc.nat({ max: 40 }),
      restart: fc.boolean(),
    });
    const calls = fc.array(call, { minLength: 4, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 300, maxLength: 300 }), calls, async (text, order) => {
        run += 1;
        const key = { ...log, jobId: `over${run}` };
        await insertClaimed(store, key.jobId);
        let received = 0;
        for (const { length, back, restart } of order) {
          if (restart) {
            await store.close();
            store = await database.open();
          }
          const offset = Math.max(0, received - back);
          const part = { offset, data: text.subarray(offset, received + length), limitBytes: 200 };
          received = (await appendLog(store, { ...key, ...part })).received;
        }
        await assertKept(store, key, { text: Buffer.from(text.subarray(0, received)), limit: 200 });
      }),
      { numRuns: 8 },
    );
  });

  test("rows have a maximum length, and every slice of a log is exact", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const text = bytes(3 * maxChunkBytes + 1000);
    await append(store, 0, text.subarray(0, 10));
    await append(store, 5, text);
    assert.equal((await append(store, 0, text)).received, text.byteLength + 5);
    const rows = await store.db.selectFrom("log_chunks").select("length").execute();
    assert.ok(rows.every((row) => row.length <= maxChunkBytes));
    const whole = Buffer.concat([text.subarray(0, 10), text.subarray(5)]);
    await assertSlices(store, whole);
  });

  test("an unknown log is empty, and streams are separate", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const nothing = { received: 0, dropped: null, expiredAt: null, sha256: sha256(Buffer.alloc(0)) };
    assert.deepEqual(await logStatus(store, log), nothing);
    assert.equal((await read(store, 0, 10)).byteLength, 0);
    await append(store, 0, Buffer.from("output"));
    await appendLog(store, {
      ...log,
      stream: "console",
      offset: 0,
      data: Buffer.from("console"),
      limitBytes: 99,
    });
    assert.equal((await read(store, 0, 99)).toString(), "output");
    await assert.rejects(append(store, 6, new Uint8Array(8 * mebibyte + 1)), { code: "limit_exceeded" });
    await assert.rejects(
      appendLog(store, { ...log, attempt: 9, offset: 0, data: Buffer.from("x"), limitBytes: 9 }),
      { code: "conflict" },
    );
  });

  test("followers are woken only by new bytes", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const kinds: string[] = [];
    const stop = store.subscribe((wake) => kinds.push(wake.kind));
    await append(store, 0, Buffer.from("ab"));
    await append(store, 0, Buffer.from("ab"));
    await append(store, 9, Buffer.from("ab"));
    assert.deepEqual(kinds, ["log"]);
    stop();
    await append(store, 2, Buffer.from("c"));
    assert.deepEqual(kinds, ["log"]);
  });

  test("the digest of a growing log is correct after each append", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const text = bytes(200_000);
    for (const end of [70_000, 70_001, 200_000]) {
      const { received } = await logStatus(store, log);
      await append(store, received, text.subarray(received, end));
      assert.equal((await logStatus(store, log)).sha256, sha256(text.subarray(0, end)));
    }
  });
}

function truncation(create: CreateDatabase): void {
  test("beyond the limit the head and the tail are kept, and everything is counted and digested", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const text = bytes(200);
    await append(store, 0, text.subarray(0, 90), 100);
    assert.deepEqual(await append(store, 90, text.subarray(90, 150), 100), { received: 150, gap: false });
    assert.equal((await append(store, 300, text, 100)).gap, true);
    await append(store, 140, text.subarray(140), 100);
    assert.deepEqual(await logStatus(store, log), {
      received: 200,
      dropped: { from: 50, to: 156 },
      expiredAt: null,
      sha256: sha256(text),
    });
    const head = text.subarray(0, 50);
    assert.ok(head.equals(await read(store, 0, 1000)));
    assert.equal((await read(store, 60, 50)).byteLength, 0);
    for (const offset of [50, 155, 156]) {
      assert.deepEqual(await readLogBeyond(store, { ...log, offset, maxBytes: 1000 }), {
        offset: 156,
        data: text.subarray(156),
      });
    }
    assert.deepEqual((await readLogBeyond(store, { ...log, offset: 200, maxBytes: 9 })).data.length, 0);
  });

  test("with any pieces, repetitions and limit, kept bytes equal the text, and the dropped range is reported", async (context) => {
    const store = await openForTest(context, create);
    let run = 0;
    const sizes = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 1, max: 6000 }), async (cut, limit) => {
        run += 1;
        const key = { ...log, jobId: `cut${run}` };
        await insertClaimed(store, key.jobId);
        const text = bytes(cut.reduce((sum, size) => sum + size, 0));
        let offset = 0;
        for (const size of cut) {
          const from = Math.max(0, offset - 7);
          const data = text.subarray(from, offset + size);
          await appendLog(store, { ...key, offset: from, data, limitBytes: limit });
          offset += size;
        }
        if (run % 2 === 0) await compactLog(store, key);
        await assertKept(store, key, { text, limit });
      }),
      { numRuns: 40 },
    );
  });

  test("a changed limit applies from then on", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const text = bytes(400);
    for (let at = 0; at < 200; at += 10) await append(store, at, text.subarray(at, at + 10), 1000);
    await append(store, 200, text.subarray(200, 210), 50);
    assert.deepEqual((await logStatus(store, log)).dropped, { from: 30, to: 190 });
    await append(store, 210, text.subarray(210), 1000);
    const { dropped, sha256: digest } = await logStatus(store, log);
    assert.deepEqual([dropped, digest], [{ from: 30, to: 190 }, sha256(text)]);
  });

  test("kept bytes may be masked; the digest is of the written bytes", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const [data, kept] = [Buffer.from("the secret"), Buffer.from("the ******")];
    await appendLog(store, { ...log, offset: 0, data, kept, limitBytes: 100 });
    await appendLog(store, {
      ...log,
      offset: 0,
      data: Buffer.from("the secret!"),
      kept: Buffer.from("xxx xxxxxx!"),
      limitBytes: 100,
    });
    assert.equal((await read(store, 0, 99)).toString(), "the ******!");
    assert.equal((await logStatus(store, log)).sha256, sha256(Buffer.from("the secret!")));
    const { digest_state: state } = await store.db
      .selectFrom("logs")
      .select("digest_state")
      .executeTakeFirstOrThrow();
    assert.ok(
      !Buffer.from(state ?? []).includes("secret"),
      "no byte of the secret is stored, also not in the digest's state",
    );
    const late = { offset: 11, data: Buffer.from("?"), kept: Buffer.from("?") };
    await appendLog(store, { ...log, ...late, limitBytes: 100 });
    assert.equal((await logStatus(store, log)).sha256, null, "without the missing bytes there is no digest");
    const short = appendLog(store, { ...log, offset: 11, data, kept: Buffer.from("*"), limitBytes: 100 });
    await assert.rejects(short, RangeError);
  });
}

/** Compares every kept byte, and the row's status, with the text. */
async function assertKept(store: Store, key: LogKey, { text, limit }: { text: Buffer; limit: number }) {
  const { received, dropped, sha256: digest } = await logStatus(store, key);
  assert.deepEqual([received, digest], [text.byteLength, sha256(text)]);
  let kept = 0;
  let skipped = 0;
  for (let offset = 0; offset < received; ) {
    const piece = await readLogBeyond(store, { ...key, offset, maxBytes: 700 });
    if (piece.offset > offset) {
      assert.deepEqual({ from: offset, to: piece.offset }, dropped);
      skipped += piece.offset - offset;
    }
    assert.ok(piece.data.equals(text.subarray(piece.offset, piece.offset + piece.data.byteLength)));
    kept += piece.data.byteLength;
    offset = piece.offset + piece.data.byteLength;
  }
  assert.ok(kept <= limit, `${kept} of ${limit}`);
  assert.equal(kept + skipped, received);
  const sizes = await store.db
    .selectFrom("log_chunks")
    .select((row) => row.fn<number>("length", ["data"]).as("bytes"))
    .where("job_id", "=", key.jobId)
    .execute();
  const row = store.db.selectFrom("logs").select("stored_bytes").where("job_id", "=", key.jobId);
  const { stored_bytes } = await row.executeTakeFirstOrThrow();
  assert.equal(
    stored_bytes,
    sizes.reduce((sum, { bytes }) => sum + bytes, 0),
  );
}

function compaction(create: CreateDatabase): void {
  test("a compacted log is smaller, reads the same, and can be compacted again", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const text = bytes(2 * mebibyte + 12_345);
    await append(store, 0, text.subarray(0, 1_300_000));
    await append(store, 1_300_000, text.subarray(1_300_000));
    await compactLog(store, log);
    await compactLog(store, log);
    const rows = await store.db.selectFrom("log_chunks").select(["encoding", "length"]).execute();
    assert.ok(rows.length <= 4 && rows.every((row) => row.encoding === "zstd" && row.length <= mebibyte));
    await assertSlices(store, text);
    const { sha256: digest } = await logStatus(store, log);
    assert.equal(digest, sha256(text));
    await append(store, text.byteLength, Buffer.from("late"));
    assert.equal((await read(store, text.byteLength - 1, 9)).subarray(1).toString(), "late");
  });

  test("a reader sees the same bytes while the log is compacted", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const text = bytes(4 * mebibyte);
    await append(store, 0, text);
    let isDone = false;
    const compacting = compactLog(store, log).then(() => {
      isDone = true;
    });
    let reads = 0;
    for (; !isDone; reads += 1) {
      assert.ok(text.equals(await read(store, 0, 8 * mebibyte)));
      await nextTurn();
    }
    await compacting;
    assert.ok(reads > 0);
  });

  test("two concurrent compactions both succeed, and the log stays complete", async (context) => {
    const store = await openForTest(context, create);
    await insertClaimed(store, "job1");
    const text = bytes(3 * mebibyte);
    await append(store, 0, text);
    await Promise.all([compactLog(store, log), compactLog(store, log)]);
    await assertSlices(store, text);
  });
}

/** Reads at the edges of rows, and at random, and compares with the text. */
async function assertSlices(store: Store, text: Buffer): Promise<void> {
  const edges = [0, 1, maxChunkBytes - 1, maxChunkBytes, mebibyte - 1, mebibyte, text.byteLength - 1];
  const offsets = [...edges, text.byteLength, text.byteLength + 5];
  for (const offset of offsets) {
    for (const size of [0, 1, 1000, maxChunkBytes, text.byteLength])
      await assertSlice(store, text, { offset, size });
  }
  const range = fc.record({
    offset: fc.nat({ max: text.byteLength + 10 }),
    size: fc.nat({ max: text.byteLength }),
  });
  for (const sample of fc.sample(range, 10)) await assertSlice(store, text, sample);
}

async function assertSlice(store: Store, text: Buffer, { offset, size }: { offset: number; size: number }) {
  const slice = await read(store, offset, size);
  assert.ok(text.subarray(offset, offset + size).equals(slice), `${size} bytes at ${offset}`);
}
