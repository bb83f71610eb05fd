/**
 * The worst behaviour of a guest, on real sockets, while another guest's job runs on the same server. Each
 * attack continues until that job has ended; the job must lose no call, its log must be complete, and the
 * server's memory must stay within a limit.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent } from "node:http";
import type { Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { gzipSync } from "node:zlib";
import { isExhaustive, sample } from "../../test/support/sampling.ts";
import {
  http2Frame,
  http2Headers,
  http2Start,
  openFrom,
  post,
  runHonestJob,
  type ServerProcess,
  startServerProcess,
  userClient,
  writeSlowly,
} from "../api/testing/hostile.ts";

/**
 * Maximum memory growth of the server during one attack, in bytes. Nearly all of it is garbage that V8
 * collects late: the worst attack, resets, stays at 230 MiB for any duration.
 */
const maxGrowthBytes = 320 * 1024 * 1024;

const attacker = "127.0.0.66";
const honest = "127.0.0.9";

/** The inputs of an attack: one guest's own server, address, token, and the signal to end. */
interface Attack {
  readonly server: ServerProcess;
  readonly token: string;
  readonly signal: AbortSignal;
  readonly open: () => Socket;
}

function head(path: string, ...lines: string[]): string {
  return [`POST /solstice.v1.RunnerService/${path} HTTP/1.1`, "Host: solstice", ...lines, "", ""].join(
    "\r\n",
  );
}

const json = "Content-Type: application/json";

/** Opens one connection after the other while the attack lasts, and runs `act` on each. */
async function again(attack: Attack, act: (socket: Socket) => Promise<void>): Promise<void> {
  while (!attack.signal.aborted) {
    const socket = attack.open().resume();
    const closed = once(socket, "close", { signal: attack.signal }).catch(() => {});
    await once(socket, "connect", { signal: attack.signal }).catch(() => {});
    await act(socket);
    socket.end();
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 50))]);
    socket.destroy();
  }
}

/** Sends the same bytes repeatedly, as fast as they are accepted. */
async function flood(attack: Attack, socket: Socket, bytes: string | Buffer): Promise<void> {
  while (await writeSlowly(socket, bytes, attack.signal));
}

const request = {
  ":method": "POST",
  ":scheme": "http",
  ":authority": "solstice",
  ":path": "/solstice.v1.RunnerService/AppendLog",
  "content-type": "application/grpc",
};

/** Sends requests on new streams of one connection; `after` returns the frames that follow each. */
async function http2Requests(
  attack: Attack,
  socket: Socket,
  after: (stream: number) => Buffer,
): Promise<void> {
  const headers = http2Headers({ ...request, authorization: `Bearer ${attack.token}` });
  let stream = 1;
  do {
    const frames: Buffer[] = [];
    for (let count = 0; count < 100; count += 1, stream += 2) {
      frames.push(http2Frame(1, { flags: 4, stream, payload: headers }), after(stream));
    }
    if (!(await writeSlowly(socket, Buffer.concat(frames), attack.signal))) return;
  } while (stream < 2 ** 31);
}

const megabyte = Buffer.alloc(1024 * 1024, "x");
const nothing = Buffer.alloc(0);

const attacks: Record<string, (attack: Attack) => Promise<void>> = {
  "a body of 100 GB, announced": (attack) =>
    again(attack, async (socket) => {
      socket.write(
        head("AppendLog", json, `Authorization: Bearer ${attack.token}`, "Content-Length: 100000000000"),
      );
      await flood(attack, socket, megabyte);
    }),
  "a body without end, in chunks": (attack) =>
    again(attack, async (socket) => {
      socket.write(
        head("AppendLog", json, `Authorization: Bearer ${attack.token}`, "Transfer-Encoding: chunked"),
      );
      await flood(attack, socket, Buffer.concat([Buffer.from("100000\r\n"), megabyte, Buffer.from("\r\n")]));
    }),
  "1.8 MB of nested JSON, without a token": (attack) =>
    again(attack, async (socket) => {
      const body = "[".repeat(900_000) + "]".repeat(900_000);
      await flood(attack, socket, head("AppendLog", json, `Content-Length: ${body.length}`) + body);
    }),
  "1.8 MB of nested JSON": (attack) =>
    again(attack, async (socket) => {
      const body = `{"data":${"[".repeat(900_000)}${"]".repeat(900_000)}}`;
      const token = `Authorization: Bearer ${attack.token}`;
      await flood(attack, socket, head("AppendLog", json, token, `Content-Length: ${body.length}`) + body);
    }),
  "a chunk with an endless extension": (attack) =>
    again(attack, async (socket) => {
      socket.write(`${head("AppendLog", json, "Transfer-Encoding: chunked")}1;`);
      await flood(attack, socket, megabyte);
    }),
  "256 MiB in 256 KiB of gzip": (attack) => {
    const bomb = gzipSync(Buffer.alloc(256 * 1024 * 1024), { level: 9 });
    return again(attack, async (socket) => {
      const lines = ["Content-Encoding: gzip", `Content-Length: ${bomb.length}`];
      socket.write(head("AppendLog", json, `Authorization: Bearer ${attack.token}`, ...lines));
      await writeSlowly(socket, bomb, attack.signal);
      await Promise.race([once(socket, "data", { signal: attack.signal }), once(socket, "close")]).catch(
        () => {},
      );
    });
  },
  "headers without end": (attack) =>
    again(attack, async (socket) => {
      socket.write("POST / HTTP/1.1\r\n");
      await flood(attack, socket, `X-Header: ${"y".repeat(1000)}\r\n`.repeat(10));
    }),
  "thousands of requests in one connection, with unread answers": (attack) =>
    again(attack, async (socket) => {
      socket.pause();
      const call = `${head("AppendLog", json, `Authorization: Bearer ${attack.token}`, "Content-Length: 2")}{}`;
      await flood(attack, socket, call.repeat(100));
    }),
  "all available connections, with endless calls on each": async (attack) => {
    const sockets = new Set<Socket>();
    while (!attack.signal.aborted) {
      while (sockets.size < 100) {
        const socket = attack.open();
        sockets.add(socket.once("close", () => sockets.delete(socket)));
        socket.write(
          `${head("AppendLog", json, `Authorization: Bearer ${attack.token}`, "Content-Length: 9000")}{`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const socket of sockets) socket.destroy();
  },
  "HTTP/2: streams opened and reset at once": (attack) =>
    again(attack, async (socket) => {
      socket.write(http2Start());
      const cancel = Buffer.from([0, 0, 0, 8]);
      await http2Requests(attack, socket, (stream) => http2Frame(3, { stream, payload: cancel }));
    }),
  "HTTP/2: streams that are never ended": (attack) =>
    again(attack, async (socket) => {
      socket.write(http2Start());
      await http2Requests(attack, socket, () => nothing);
    }),
  "HTTP/2: a window of 0, so that no answer can be sent": (attack) =>
    again(attack, async (socket) => {
      socket.write(http2Start([[4, 0]]));
      const empty = Buffer.alloc(5);
      await http2Requests(attack, socket, (stream) => http2Frame(0, { flags: 1, stream, payload: empty }));
    }),
  "HTTP/2: a flood of settings, with unread answers": (attack) =>
    again(attack, async (socket) => {
      socket.pause().write(http2Start());
      await flood(attack, socket, Buffer.concat(Array.from({ length: 500 }, () => http2Frame(4, {}))));
    }),
  "HTTP/2: a flood of pings": (attack) =>
    again(attack, async (socket) => {
      socket.pause().write(http2Start());
      const ping = http2Frame(6, { payload: Buffer.alloc(8) });
      await flood(attack, socket, Buffer.concat(Array.from({ length: 500 }, () => ping)));
    }),
  "HTTP/2: headers continued without end": (attack) =>
    again(attack, async (socket) => {
      socket.write(http2Start());
      socket.write(http2Frame(1, { stream: 1, payload: http2Headers(request) }));
      const more = http2Headers(
        Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`x-${at}`, "y".repeat(100)])),
      );
      await flood(attack, socket, http2Frame(9, { stream: 1, payload: more }));
    }),
  "HTTP/2: random frames": (attack) =>
    again(attack, async (socket) => {
      socket.write(http2Start());
      await flood(
        attack,
        socket,
        http2Frame(0x77, { flags: 0xff, stream: 5, payload: megabyte.subarray(0, 16_000) }),
      );
    }),
};

async function attackWhileAJobRuns(t: TestContext, attack: (attack: Attack) => Promise<void>): Promise<void> {
  const server = await startServerProcess(t, { jobs: 2 });
  const [victim, enemy] = server.jobs;
  assert.ok(victim && enemy);
  const before = await server.memory("VmHWM");
  const end = new AbortController();
  const open = () => openFrom(server, attacker);
  const attacking = attack({ server, token: enemy.sessionToken, signal: end.signal, open });
  try {
    const user = userClient(server);
    await Promise.all([
      runHonestJob(server, victim, honest),
      user.list({}),
      user.get({ jobId: enemy.jobId }),
    ]);
  } finally {
    end.abort();
    await attacking;
  }
  const grown = (await server.memory("VmHWM")) - before;
  t.diagnostic(`memory grew by ${Math.round(grown / 1024 / 1024)} MiB at most`);
  assert.ok(grown < maxGrowthBytes, `memory grew by ${grown} bytes`);
}

/**
 * A million appends would take more than an hour here, because each is a commit. Their cost does not grow
 * with their number.
 */
const tinyAppends = isExhaustive ? 500 : 150;

test("the cost of tiny appends, one byte each, does not grow with their number", {
  timeout: 120_000,
}, async (t) => {
  const server = await startServerProcess(t, { jobs: 2 });
  const [victim, enemy] = server.jobs;
  assert.ok(victim && enemy);
  const agent = new Agent({ keepAlive: true, maxSockets: 1, localAddress: attacker });
  const call = { port: server.port, from: attacker, agent };
  await post("Start", { sessionToken: enemy.sessionToken }, { ...call, token: enemy.bootstrapToken });
  const honestJob = runHonestJob(server, victim, honest);
  const before = await server.memory("VmRSS");
  const began = performance.now();
  for (let offset = 0; offset < tinyAppends; offset += 1) {
    const body = { offset, data: "eA==" };
    const answer = await post("AppendLog", body, { ...call, token: enemy.sessionToken });
    assert.deepEqual([answer.status, answer.body], [200, { received: String(offset + 1) }]);
  }
  const seconds = (performance.now() - began) / 1000;
  await honestJob;
  agent.destroy();
  const grown = ((await server.memory("VmRSS")) - before) / 1024 / 1024;
  t.diagnostic(
    `${Math.round(tinyAppends / seconds)} appends a second; memory grew by ${Math.round(grown)} MiB`,
  );
  assert.ok(grown < 64, `memory grew by ${grown} MiB`);
});

/** Guests in addition to the one that floods: in an exhaustive run, as many as a large host has. */
const guests = isExhaustive ? 30 : 12;

test(`${guests} concurrent guests, each with its own address, are served during a flood of another`, {
  timeout: 120_000,
}, async (t) => {
  const server = await startServerProcess(t, { jobs: guests + 1 });
  const [enemy, ...others] = server.jobs;
  assert.ok(enemy);
  const end = new AbortController();
  const open = () => openFrom(server, attacker);
  const flooding = attacks["all available connections, with endless calls on each"]?.({
    server,
    token: enemy.sessionToken,
    signal: end.signal,
    open,
  });
  try {
    await Promise.all(others.map((job, at) => runHonestJob(server, job, `127.0.1.${at + 1}`)));
  } finally {
    end.abort();
    await flooding;
  }
});

const ofProtocol = (isHttp2: boolean) =>
  Object.entries(attacks).filter(([name]) => name.startsWith("HTTP/2") === isHttp2);
const tried = [
  ...sample("attacks over HTTP/1.1", ofProtocol(false), 2),
  ...sample("attacks over HTTP/2", ofProtocol(true), 2),
];

for (const [name, attack] of tried) {
  test(`other jobs are not affected by ${name}`, { timeout: 60_000 }, (t) => attackWhileAJobRuns(t, attack));
}
