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

/** Creates a zone with a console server like bhyve's, and a keeper. */
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
    /** Starts bhyve, and resolves with the connected reader. */
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

/** Ends the guest; all its output is then in the file. */
async function end(socket: Socket, said: string | Buffer): Promise<void> {
  socket.end(said);
  await once(socket, "close");
}

test("a console is read from its first byte, whichever side starts first, and is complete when its guest has ended", async (context) => {
  const { keeper, order, text, boot } = await openScene(context);
  keeper.keep(order);
  keeper.keep(order);
  const guest = await boot();
  await Promise.all([end(guest, "from the first byte"), keeper.drained("abcd")]);
  await keeper.stop("abcd");
  assert.equal(text(), "from the first byte");
});

test("after a takeover the file notes possibly missing output, only if it had content", async (context) => {
  const { keeper, order, file, text, boot } = await openScene(context);
  keeper.keep({ ...order, mayHaveMissed: true });
  await end(await boot(), "nothing is missing");
  await keeper.stop("abcd");
  assert.equal(text(), "nothing is missing");
  keeper.keep({ ...order, mayHaveMissed: true });
  await end(await boot(), "end");
  await keeper.stop("abcd");
  assert.match(
    text(),
    /^nothing is missing\r\n\[solstice: output may be missing here: no orchestrator was reading\]\r\nend$/,
  );
  assert.equal((await readPart(file, 8, 2)).toString(), "is");
  assert.equal((await readPart(file, 1_000_000, 2)).length, 0);
  assert.equal((await readPart(`${file}.gone`, 0, 2)).length, 0);
});

test("a guest's restart is reported, and its end as well", async (context) => {
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

test("output beyond the limit is dropped, the file notes that once, and the guest is not blocked", async (context) => {
  const { keeper, order, file, text, boot } = await openScene(context);
  writeFileSync(file, Buffer.alloc(maxConsoleBytes - 5, "x"));
  keeper.keep(order);
  await end(await boot(), Buffer.alloc(1024 * 1024, "y"));
  await keeper.stop("abcd");
  assert.match(
    text().slice(maxConsoleBytes - 6),
    /^xyyyyy\r\n\[solstice: the console exceeded its limit; the rest is not stored\]\r\n$/,
  );
});

test("a reader can be stopped without a server, and while a guest runs", async (context) => {
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
