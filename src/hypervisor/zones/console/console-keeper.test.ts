import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { readPart } from "../../../host/files/read-part.ts";
import { maxConsoleBytes } from "./console-file.ts";
import { type ConsoleEvents, createConsoleKeeper } from "./console-keeper.ts";
import { consoleSocket, socketPath } from "./sockets.ts";

/** A zone whose console somebody listens at, as bhyve does, and a keeper. */
async function openScene(context: TestContext, events: Partial<ConsoleEvents> = {}) {
  const zonePath = await mkdtemp("/tmp/sz-");
  const path = socketPath(zonePath, consoleSocket);
  mkdirSync(dirname(path), { recursive: true });
  const keeper = createConsoleKeeper({ onEnd: () => {}, onRestart: () => {}, ...events });
  const file = join(zonePath, "console.log");
  const servers: Server[] = [];
  context.after(async () => {
    await keeper.close();
    for (const server of servers) server.close();
    await rm(zonePath, { recursive: true });
  });
  return {
    keeper,
    file,
    order: { jobId: "abcd", zonePath, file, mayHaveMissed: false },
    text: () => readFileSync(file, "utf8"),
    /** Starts bhyve, and resolves with the reader that has connected. */
    async boot(): Promise<Socket> {
      rmSync(path, { force: true });
      const server = createServer().listen(path);
      servers.push(server);
      const [socket] = (await once(server, "connection")) as [Socket];
      server.close();
      return socket;
    },
  };
}

/** Everything that was said is in the file once the guest is gone. */
async function end(socket: Socket, said: string | Buffer): Promise<void> {
  socket.end(said);
  await once(socket, "close");
}

test("a console is read from its first byte, whoever is there first, and is whole once its guest is gone", async (context) => {
  const { keeper, order, text, boot } = await openScene(context);
  keeper.keep(order);
  keeper.keep(order);
  const guest = await boot();
  await Promise.all([end(guest, "from the first byte"), keeper.drained("abcd")]);
  await keeper.stop("abcd");
  assert.equal(text(), "from the first byte");
});

test("who took over says where something may be missing, and only where there was something", async (context) => {
  const { keeper, order, file, text, boot } = await openScene(context);
  keeper.keep({ ...order, mayHaveMissed: true });
  await end(await boot(), "nothing is missing");
  await keeper.stop("abcd");
  assert.equal(text(), "nothing is missing");
  keeper.keep({ ...order, mayHaveMissed: true });
  await end(await boot(), "end");
  await keeper.stop("abcd");
  assert.match(text(), /^nothing is missing\r\n\[solstice: .* not read\]\r\nend$/);
  assert.equal((await readPart(file, 8, 2)).toString(), "is");
  assert.equal((await readPart(file, 1_000_000, 2)).length, 0);
  assert.equal((await readPart(`${file}.gone`, 0, 2)).length, 0);
});

test("a guest that restarts itself is told of, and its end as well", async (context) => {
  const reported: string[] = [];
  const ended = Promise.withResolvers<void>();
  const { keeper, order, text, boot } = await openScene(context, {
    onEnd: () => ended.resolve(),
    onRestart: (jobId) => reported.push(jobId),
  });
  keeper.keep(order);
  await end(await boot(), "once");
  await ended.promise;
  assert.deepEqual(reported, []);
  await end(await boot(), "twice");
  await keeper.stop("abcd");
  assert.deepEqual(reported, ["abcd"]);
  assert.match(text(), /^once\r\n\[solstice: the guest restarted itself.*\]\r\ntwice$/);
});

test("what is too much is dropped, which the file says once; the guest is not held up", async (context) => {
  const { keeper, order, file, text, boot } = await openScene(context);
  writeFileSync(file, Buffer.alloc(maxConsoleBytes - 5, "x"));
  keeper.keep(order);
  await end(await boot(), Buffer.alloc(1024 * 1024, "y"));
  await keeper.stop("abcd");
  assert.match(
    text().slice(maxConsoleBytes - 6),
    /^xyyyyy\r\n\[solstice: the guest said more than is kept\]\r\n$/,
  );
});

test("a reader ends while nobody listens, and while a guest runs", async (context) => {
  const { keeper, order, boot } = await openScene(context);
  keeper.keep(order);
  await keeper.stop("abcd");
  await keeper.drained("abcd");
  keeper.keep(order);
  const guest = await boot();
  const closed = once(guest, "close");
  guest.resume();
  await keeper.close();
  await closed;
});
