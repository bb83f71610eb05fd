/**
 * The limits of `Shell`, on a real server with the real desk of shells; the guest's end is a stream of the
 * test.
 */
import assert from "node:assert/strict";
import { connect } from "node:http2";
import { Duplex } from "node:stream";
import { type TestContext, test } from "node:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { until } from "../../test/support/until.ts";
import { verdict } from "../core/job/verdict.ts";
import type { Log } from "../core/log.ts";
import { JobService, ShellRequestSchema, type ShellResponse } from "../gen/solstice/v1/jobs_pb.ts";
import type { ShellLimits } from "../orchestrator/shells/guest-session.ts";
import { createGuestShells } from "../orchestrator/shells/guest-shells.ts";
import { releaseHold } from "../store/jobs/holds.ts";
import { applyEvent } from "../store/jobs/jobs.ts";
import { recordFinish } from "../store/jobs/machines.ts";
import type { Store } from "../store/store.ts";
import { jobLimits } from "./job-service.ts";
import { bootJob, insertTestJob, MemoryLog, openTestStore, startTestUserServer } from "./testing/fixture.ts";

type Message = MessageInitShape<typeof ShellRequestSchema>;

/** Longer than any test. */
const patient: ShellLimits = { idleMs: 600_000, totalMs: 600_000 };

/** The guest's end of a shell: it reports its start at once, and records the input. */
class Guest extends Duplex {
  readonly typed: Buffer[] = [];
  inputEnded = false;
  override _read() {}
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void) {
    this.typed.push(chunk);
    done();
  }
}

interface Given {
  readonly limits?: ShellLimits;
  readonly shellOpenTimeoutMs?: number;
}

async function setUp(t: TestContext, { limits = patient, shellOpenTimeoutMs = 60_000 }: Given = {}) {
  const store = await openTestStore(t);
  const log = new MemoryLog();
  const guests: Guest[] = [];
  const openShell = async (_jobId: string, order: { readonly number: number }) => {
    const stream = new Guest();
    guests.push(stream);
    stream.push(`\u001b_solstice-shell ${order.number} begun\u001b\\`);
    const endInput = () => {
      stream.inputEnded = true;
    };
    return { stream, endInput, resize: async () => {} };
  };
  const shells = createGuestShells({ store, hypervisor: { openShell }, log: log as unknown as Log, limits });
  t.after(() => shells.close());
  const server = await startTestUserServer(t, { store, log, shells, hostId: "host-1", shellOpenTimeoutMs });
  const transport = createConnectTransport({ baseUrl: server.url, httpVersion: "2" });
  return { store, log, guests, server, client: createClient(JobService, transport) };
}

/** A failed job whose guest is on hold. */
async function held(store: Store): Promise<string> {
  const booted = await bootJob(store, (await insertTestJob(store)).id);
  const { jobId, attempt } = booted;
  const end = { exitCode: 1, failure: null, logLength: 0, logSha256: "ab", at: Date.now() };
  const hold = { hostId: "host-1", decide: () => ({ kind: "granted", seconds: 600 }) as const };
  assert.ok(await recordFinish(store, { jobId, attempt, ...end, hold }));
  const ended = verdict("step_failed", "No.", 1);
  await applyEvent(store, { jobId, attempt, event: "conclude", at: 5001, verdict: ended });
  return jobId;
}

/** The caller's end of the call: `send` sends a message. */
class Caller implements AsyncIterable<Message> {
  readonly #waiting: (Message | null)[] = [];
  #wake = () => {};

  send(message: Message | null): void {
    this.#waiting.push(message);
    this.#wake();
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      const message = this.#waiting.shift();
      if (message === null) return;
      if (message !== undefined) yield message;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

const open = (jobId: string, more: object = {}): Message => ({
  kind: { case: "open", value: { jobId, ...more } },
});
const input = (length: number): Message => ({
  kind: { case: "input", value: new Uint8Array(length).fill(97) },
});

/** The error that a call ends with. */
async function errorOf(answers: AsyncIterable<ShellResponse>): Promise<ConnectError> {
  try {
    for await (const _ of answers);
  } catch (error) {
    return ConnectError.from(error);
  }
  return assert.fail("the call ended without an error");
}

/** Opens a shell in a guest; resolves when the shell is open. */
async function enter(client: Client<typeof JobService>, jobId: string) {
  const caller = new Caller();
  caller.send(open(jobId));
  const answers = client.shell(caller)[Symbol.asyncIterator]();
  const first = await answers.next();
  assert.equal(first.value?.kind.case, "opened");
  return { caller, answers: { [Symbol.asyncIterator]: () => answers } };
}

/** The reason of a shell's end, as the caller receives it. */
async function endOf(answers: AsyncIterable<ShellResponse>): Promise<string> {
  let reason = "";
  for await (const { kind } of answers) if (kind.case === "ended") reason = kind.value.reason;
  return reason;
}

test("input arrives complete and in order, followed by the end of the input", {
  timeout: 60_000,
}, async (t) => {
  const { store, client, guests } = await setUp(t);
  const { caller, answers } = await enter(client, await held(store));
  for (const length of [1, 64 * 1024, 0, 3]) caller.send(input(length));
  caller.send(null);
  await until("the end of the input", () => guests[0]?.inputEnded === true);
  assert.equal(Buffer.concat(guests[0]?.typed ?? []).length, 64 * 1024 + 4);
  guests[0]?.push(null);
  assert.equal(await endOf(answers), "lost");
});

test("a call with an invalid first message is refused", { timeout: 60_000 }, async (t) => {
  const { store, client, guests, log } = await setUp(t);
  const jobId = await held(store);
  const wrong: readonly (readonly [what: string, message: Message, code: Code, text: RegExp])[] = [
    ["input", input(1), Code.InvalidArgument, /first message must open a shell/],
    ["an empty message", {}, Code.InvalidArgument, /first message must open a shell/],
    [
      "an invalid terminal name",
      open(jobId, { term: "x;reboot" }),
      Code.InvalidArgument,
      /name of a terminal/,
    ],
    [
      "a window that is too wide",
      open(jobId, { size: { rows: 1, columns: 1001 } }),
      Code.InvalidArgument,
      /at most 1000/,
    ],
    ["a job that does not exist", open("zzzzzzzz"), Code.NotFound, /no job/],
    ["a job without a hold", open((await insertTestJob(store)).id), Code.FailedPrecondition, /not on hold/],
    ["a message that is too long", open("x".repeat(5 << 20)), Code.ResourceExhausted, /./],
  ];
  for (const [what, message, code, text] of wrong) {
    const caller = new Caller();
    caller.send(message);
    const error = await errorOf(client.shell(caller));
    assert.deepEqual([error.code, text.test(error.message)], [code, true], `${what}: ${error.message}`);
  }
  const silent = new Caller();
  silent.send(null);
  assert.equal((await errorOf(client.shell(silent))).code, Code.InvalidArgument);
  assert.equal(guests.length, 0, "no call reached a guest");
  assert.deepEqual(
    log.lines.filter(({ level }) => level === "error"),
    [],
  );
});

test("a caller that sends nothing times out", { timeout: 60_000 }, async (t) => {
  const { client, guests } = await setUp(t, { shellOpenTimeoutMs: 100 });
  const error = await errorOf(client.shell(new Caller()));
  assert.equal(error.code, Code.InvalidArgument);
  assert.match(error.message, /must open a shell, without delay/);
  assert.equal(guests.length, 0);
});

test("later invalid messages end the shell with an error, and close the guest's end", {
  timeout: 60_000,
}, async (t) => {
  const { store, client, guests, log } = await setUp(t);
  const jobId = await held(store);
  const wrong: readonly (readonly [what: string, message: Message, text: RegExp])[] = [
    ["too much input in one message", input(64 * 1024 + 1), /at most 64 KiB/],
    ["another open", open(jobId), /at most 64 KiB and window sizes/],
    ["an empty message", {}, /at most 64 KiB and window sizes/],
    ["an invalid window", { kind: { case: "size", value: { rows: 5000, columns: 1 } } }, /at most 1000 rows/],
  ];
  for (const [what, message, text] of wrong) {
    const { caller, answers } = await enter(client, jobId);
    caller.send(message);
    const error = await errorOf(answers);
    assert.deepEqual(
      [error.code, text.test(error.message)],
      [Code.InvalidArgument, true],
      `${what}: ${error.message}`,
    );
    assert.equal(guests.at(-1)?.destroyed, true, what);
    assert.equal(guests.at(-1)?.typed.length, 0, what);
  }
  assert.deepEqual(
    log.lines.filter(({ level }) => level === "error"),
    [],
  );
});

/**
 * Makes one call over HTTP/2 with hand-made frames; the first frame is valid. Resolves with the frames that
 * came back.
 */
function callRaw(t: TestContext, url: string, jobId: string, then: Buffer): Promise<string> {
  const session = connect(url);
  t.after(() => session.destroy());
  const call = session.request({
    ":method": "POST",
    ":path": "/solstice.v1.JobService/Shell",
    "content-type": "application/connect+proto",
  });
  const message = Buffer.from(toBinary(ShellRequestSchema, create(ShellRequestSchema, open(jobId))));
  call.write(frame(message));
  return new Promise((resolve, reject) => {
    let answer = "";
    call.on("data", (data: Buffer) => {
      // The first frame of the answer reports that the shell is open.
      if (answer === "") call.write(then);
      answer += data.toString("latin1");
    });
    call.on("end", () => resolve(answer)).on("error", reject);
  });
}

function frame(content: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(content.length, 1);
  return Buffer.concat([head, content]);
}

test("invalid frames end the shell as the caller's mistake", { timeout: 30_000 }, async (t) => {
  const { store, server, guests, log } = await setUp(t);
  const jobId = await held(store);
  const tooLong = Buffer.from([0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3]);
  const wrong: readonly (readonly [what: string, bytes: Buffer, text: RegExp])[] = [
    ["no protobuf", frame(Buffer.alloc(100, 0xff)), /"invalid_argument".*cannot be read/],
    ["truncated protobuf", frame(Buffer.from([0x12, 50, 1])), /"invalid_argument".*cannot be read/],
    ["a frame of 2 GiB", tooLong, /"resource_exhausted"/],
  ];
  for (const [what, bytes, text] of wrong) {
    assert.match(await callRaw(t, server.url, jobId, bytes), text, what);
    assert.equal(guests.at(-1)?.destroyed, true, what);
  }
  assert.deepEqual(
    log.lines.filter(({ level }) => level === "error"),
    [],
  );
});

test("a shell ends when it is idle, and when it lasts too long", {
  timeout: 60_000,
}, async (t) => {
  const idle = await setUp(t, { limits: { ...patient, idleMs: 100 } });
  const { answers } = await enter(idle.client, await held(idle.store));
  assert.equal(await endOf(answers), "idle");
  assert.equal(idle.guests[0]?.destroyed, true);

  const long = await setUp(t, { limits: { ...patient, totalMs: 300 } });
  const entered = await enter(long.client, await held(long.store));
  const chatter = setInterval(() => long.guests[0]?.push("."), 20);
  t.after(() => clearInterval(chatter));
  assert.equal(await endOf(entered.answers), "too_long");
});

test("a disconnect closes the shell, a second caller takes over, and a release ends the shell", {
  timeout: 60_000,
}, async (t) => {
  const { store, client, guests } = await setUp(t);
  const jobId = await held(store);
  const left = new AbortController();
  const caller = new Caller();
  caller.send(open(jobId));
  const gone = errorOf(client.shell(caller, { signal: left.signal }));
  await until("the shell", () => guests.length === 1);
  left.abort();
  assert.equal((await gone).code, Code.Canceled);
  await until("the guest's end to be closed", () => guests[0]?.destroyed === true);

  const first = await enter(client, jobId);
  const second = await enter(client, jobId);
  assert.equal(await endOf(first.answers), "taken_over");
  assert.ok(await releaseHold(store, { jobId, attempt: 1, at: Date.now() }));
  assert.equal(await endOf(second.answers), "hold_over");
});

test("shells up to the limit are opened, and one more is refused", { timeout: 120_000 }, async (t) => {
  const { store, client } = await setUp(t);
  const entered = [];
  for (let count = 0; count < jobLimits.openShells; count += 1) {
    entered.push(await enter(client, await held(store)));
  }
  const caller = new Caller();
  caller.send(open("zzzzzzzz"));
  assert.equal((await errorOf(client.shell(caller))).code, Code.ResourceExhausted);
  entered[0]?.caller.send({});
  await errorOf(entered[0]?.answers ?? assert.fail());
  await enter(client, await held(store));
});
