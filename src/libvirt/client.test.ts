import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { LibvirtClient, LibvirtClientOptions } from "./client.ts";
import { createLibvirtClient, formatVersion } from "./client.ts";
import { type LibvirtConnectionError, LibvirtErrorCode } from "./errors.ts";
import type { FakeLibvirtServer } from "./testing/fake-server.ts";
import { FakeFault, startFakeServer } from "./testing/fake-server.ts";
import { encodePacket, MAX_PACKET_BYTES, PacketType, REMOTE_PROGRAM } from "./wire/packet.ts";
import { lifecycleEvent, procedures } from "./wire/procedures.ts";
import { boolean, encode, uint32 } from "./wire/xdr.ts";

const domain = { name: "vm", uuid: "00010203-0405-0607-0809-0a0b0c0d0e0f", id: 3 };
const replyHeader = {
  program: REMOTE_PROGRAM,
  version: 1,
  procedure: 23,
  type: PacketType.reply,
  serial: 0,
  status: 0,
};

/** Shorter than a call's deadline: a leaked timer would keep the process running longer. */
const EXIT_TIMEOUT_MS = 30_000;

let server: FakeLibvirtServer;
const clients: LibvirtClient[] = [];

async function connect(options: Partial<LibvirtClientOptions> = {}): Promise<LibvirtClient> {
  const client = await createLibvirtClient({ uri: server.uri, ...options });
  clients.push(client);
  return client;
}

/** Returns a handler that never answers, and a promise of its first call. */
function stall<T>(): { handler: () => Promise<T>; called: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return {
    called: promise,
    handler: () => {
      resolve();
      return new Promise<T>(() => undefined);
    },
  };
}

function reconnected(client: LibvirtClient): Promise<void> {
  return new Promise((resolve) => client.onReconnect(resolve));
}

function disconnected(client: LibvirtClient): Promise<LibvirtConnectionError> {
  return new Promise((resolve) => client.onDisconnect(resolve));
}

beforeEach(async () => {
  server = await startFakeServer();
  server.handle(procedures.domainLookupByName, ({ name }) => ({ domain: { ...domain, name } }));
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await server.remove();
});

describe("connecting", () => {
  test("sends the handshake in the order that the daemon requires, and registers for events once", async () => {
    await connect();
    assert.deepEqual(
      server.calls.filter((name) => name !== "connect_domain_event_callback_register_any").slice(0, 2),
      ["auth_list", "auth_list"],
    );
    const counts = Object.groupBy(server.calls, (name) => name);
    assert.equal(counts.connect_open?.length, 2);
    assert.equal(counts.connect_supports_feature?.length, 2);
    assert.equal(counts.connect_domain_event_callback_register_any?.length, 1);
    assert.ok(server.calls.lastIndexOf("auth_list") < server.calls.indexOf("connect_open"));
  });

  test("sends driver and path, not the socket, as the URI", async () => {
    const names: (string | undefined)[] = [];
    server.handle(procedures.connectOpen, ({ name }) => {
      names.push(name);
    });
    await connect();
    assert.deepEqual(names, ["qemu:///system", "qemu:///system"]);
  });

  test("authenticates with polkit on request, and refuses other methods", async () => {
    server.handle(procedures.authList, () => ({ types: [2] }));
    server.handle(procedures.authPolkit, () => ({ complete: true }));
    await connect();
    assert.ok(server.calls.includes("auth_polkit"));
    server.handle(procedures.authList, () => ({ types: [1] }));
    await assert.rejects(connect(), { reason: "auth", message: /requires the authentication sasl/ });
  });

  test("the error lists the tried sockets when no daemon answers", async () => {
    await server.stop();
    await assert.rejects(connect(), { reason: "connect", message: /libvirt-sock: no such socket/ });
  });

  test("rejects with the daemon's own error, and closes the connection", {
    timeout: EXIT_TIMEOUT_MS,
  }, async () => {
    server.handle(procedures.connectOpen, () => {
      throw new FakeFault(LibvirtErrorCode.NO_CONNECT, "no connection driver available");
    });
    await assert.rejects(connect(), { name: "LibvirtError", code: LibvirtErrorCode.NO_CONNECT });
    while (server.connectionCount > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test("times out when a daemon accepts and never answers", async () => {
    server.handle(procedures.authList, stall<{ types: number[] }>().handler);
    await assert.rejects(connect({ connectTimeoutSeconds: 0.05 }), { reason: "connect" });
  });
});

describe("calls", () => {
  test("an error reply becomes a LibvirtError with all its fields", async () => {
    server.handle(procedures.domainLookupByName, () => {
      throw new FakeFault(LibvirtErrorCode.NO_DOMAIN, "Domain not found");
    });
    const client = await connect();
    const expected = { code: 42, domain: 10, level: 2, procedure: "domain_lookup_by_name" };
    await assert.rejects(client.lookupDomainByName("x"), { message: "Domain not found", ...expected });
    await assert.rejects(client.libVersion(), { code: LibvirtErrorCode.RPC, message: /unknown procedure/ });
  });

  test("at most four calls are in flight, and slow calls do not delay a lookup", async () => {
    const release = Promise.withResolvers<void>();
    server.handle(procedures.domainCreateWithFlags, async (args) => {
      await release.promise;
      return { domain: args.domain };
    });
    const client = await connect();
    const starts = Array.from({ length: 9 }, () => client.startDomain(domain));
    assert.equal((await client.lookupDomainByName("quick")).name, "quick");
    release.resolve();
    await Promise.all(starts);
    assert.equal(server.maxInFlight, 4);
  });

  test("a late answer rejects only its own call", async () => {
    const { handler } = stall<{ version: bigint }>();
    server.handle(procedures.connectLibVersion, handler);
    const client = await connect({ callTimeoutSeconds: 0.1 });
    await assert.rejects(client.libVersion(), { reason: "timeout", mayHaveRun: true });
    assert.equal((await client.lookupDomainByName("other")).name, "other");
  });

  test("a reply of the wrong shape rejects only its own call", async () => {
    const client = await connect();
    server.handle({ ...procedures.connectLibVersion, reply: boolean }, () => true);
    await assert.rejects(client.libVersion(), { reason: "protocol" });
    assert.ok(client.connected);
  });

  test("arguments above the limits are refused before anything is sent", async () => {
    const client = await connect();
    const before = server.calls.length;
    await assert.rejects(client.lookupDomainByName("x".repeat(5_000_000)), { name: "XdrError" });
    assert.equal((await client.lookupDomainByName("next")).name, "next");
    assert.equal(server.calls.length, before + 1);
  });
});

describe("messages that the server sends by itself", () => {
  test("keepalive pings are answered on both connections", async () => {
    await connect();
    assert.equal(server.connectionCount, 2);
    await server.ping();
  });

  test("lifecycle events reach every listener until it unsubscribes", async () => {
    const client = await connect();
    const seen: string[] = [];
    const unsubscribe = client.onLifecycle(({ event }) => seen.push(`first ${event}`));
    const next = () => new Promise((resolve) => client.onLifecycle(resolve));
    server.sendLifecycle(domain, 2, 0);
    assert.deepEqual(await next(), { domain, event: "started", detail: "booted" });
    unsubscribe();
    server.sendLifecycle(domain, 5, 1);
    assert.deepEqual(await next(), { domain, event: "stopped", detail: "destroyed" });
    assert.deepEqual(seen, ["first started"]);
  });

  test("packets that arrive byte by byte are decoded", async () => {
    const client = await connect();
    const event = new Promise((resolve) => client.onLifecycle(resolve));
    const body = encode(lifecycleEvent.body, { callbackId: 1, domain, event: 0, detail: 0 });
    const header = { ...replyHeader, procedure: lifecycleEvent.number, type: PacketType.message };
    for (const byte of encodePacket(header, body)) {
      server.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(await event, { domain, event: "defined", detail: "added" });
  });

  const nonsense: [string, Uint8Array][] = [
    ["an oversized packet", encode(uint32, MAX_PACKET_BYTES + 1)],
    ["a packet shorter than its header", encode(uint32, 8)],
    ["a reply to no call", encodePacket({ ...replyHeader, serial: 4711 }, new Uint8Array(0))],
    ["a second reply to one call", encodePacket({ ...replyHeader, serial: 1 }, new Uint8Array(0))],
    ["another program", encodePacket({ ...replyHeader, program: 1 }, new Uint8Array(0))],
    ["a stream packet", encodePacket({ ...replyHeader, type: PacketType.stream }, new Uint8Array(0))],
    [
      "a truncated event",
      encodePacket({ ...replyHeader, type: PacketType.message, procedure: 318 }, new Uint8Array(4)),
    ],
  ];
  for (const [name, bytes] of nonsense) {
    test(`${name} ends the connection, rejects its calls, and a new connection replaces it`, async () => {
      const { handler, called } = stall<{ version: bigint }>();
      server.handle(procedures.connectLibVersion, handler);
      const client = await connect();
      const lost = disconnected(client);
      const back = reconnected(client);
      const call = client.libVersion();
      const rejection = assert.rejects(call, { reason: "protocol", mayHaveRun: true });
      await called;
      server.write(bytes);
      await rejection;
      assert.equal((await lost).reason, "protocol");
      await back;
      assert.equal((await client.lookupDomainByName("again")).name, "again");
    });
  }
});

describe("a daemon that dies", () => {
  test("rejects sent calls, keeps unsent ones, and registers events again", async () => {
    const { handler, called } = stall<{ version: bigint }>();
    server.handle(procedures.connectLibVersion, handler);
    const client = await connect();
    const back = reconnected(client);
    const sent = assert.rejects(client.libVersion(), { reason: "lost", mayHaveRun: true });
    await called;
    const lost = disconnected(client);
    await server.stop();
    await sent;
    await lost;
    assert.equal(client.connected, false);
    const waiting = client.lookupDomainByName("patient");
    await server.start();
    assert.equal((await waiting).name, "patient");
    await back;
    const event = new Promise((resolve) => client.onLifecycle(resolve));
    server.sendLifecycle(domain, 1, 0);
    assert.deepEqual(await event, { domain, event: "undefined", detail: "removed" });
  });

  test("is retried when it is back but first fails the handshake", async () => {
    const client = await connect();
    const back = reconnected(client);
    let refusals = 2;
    server.handle(procedures.connectOpen, () => {
      refusals -= 1;
      if (refusals >= 0) throw new FakeFault(LibvirtErrorCode.INTERNAL_ERROR, "still starting");
    });
    server.cutConnections();
    await back;
    assert.ok(refusals < 0);
  });

  test("does not delay a call beyond its deadline", async () => {
    const client = await connect({ callTimeoutSeconds: 0.1 });
    const lost = disconnected(client);
    await server.stop();
    await lost;
    await assert.rejects(client.lookupDomainByName("x"), { reason: "timeout", mayHaveRun: false });
  });
});

describe("closing", () => {
  test("rejects in-flight and later calls, and closes the sockets", async () => {
    const { handler, called } = stall<{ version: bigint }>();
    server.handle(procedures.connectLibVersion, handler);
    const client = await connect();
    let notified = false;
    client.onDisconnect(() => (notified = true));
    const call = assert.rejects(client.libVersion(), { reason: "closed" });
    await called;
    client.close();
    client.close();
    await call;
    await assert.rejects(client.libVersion(), { reason: "closed" });
    await server.stop();
    assert.equal(notified, false);
  });

  for (const when of ["while connected", "while reconnecting"]) {
    test(`lets the process exit: ${when}`, { timeout: EXIT_TIMEOUT_MS }, async () => {
      const script = `
        import { createLibvirtClient } from ${JSON.stringify(new URL("./index.ts", import.meta.url).href)};
        const client = await createLibvirtClient({ uri: process.argv[1] });
        client.lookupDomainByName("x").catch(() => undefined);
        client.onDisconnect(() => {
          client.lookupDomainByName("y").catch(() => undefined);
          client.close();
        });
        if (process.argv[2] === "while connected") client.close();
        else console.log("ready");`;
      const child = spawn(process.execPath, ["--input-type=module", "-e", script, server.uri, when], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      child.stdout.once("data", () => server.cutConnections());
      assert.deepEqual(await once(child, "exit"), [0, null]);
    });
  }
});

test("version numbers are formatted as people write them", () => {
  assert.equal(formatVersion(9_000_000), "9.0.0");
  assert.equal(formatVersion(11_007_012), "11.7.12");
});
