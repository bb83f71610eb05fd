import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import { test } from "node:test";
import type { LibvirtClient, LifecycleEvent } from "../client.ts";
import { isLibvirtError, LibvirtErrorCode } from "../errors.ts";

const METADATA_URI = "urn:example:contract:1";

/** Returns the XML of a domain without disk or network: it starts, and its firmware finds nothing to boot. */
export function tinyDomainXml(name: string): string {
  return `<domain type='qemu'>
    <name>${name}</name>
    <metadata><owner:vm xmlns:owner='${METADATA_URI}' job='42'/></metadata>
    <memory unit='MiB'>32</memory>
    <os><type arch='x86_64' machine='pc'>hvm</type></os>
    <devices>
      <controller type='usb' model='none'/><memballoon model='none'/>
      <serial type='pty'><target port='0'/></serial>
    </devices>
  </domain>`;
}

/** Tests that any libvirt daemon, real or fake, passes. `connect` returns a new client; each test closes its own. */
export function testDomainContract(connect: () => Promise<LibvirtClient>, skip: string | false): void {
  test("a domain is defined, started, destroyed and undefined, with matching events", {
    skip,
  }, async () => {
    using client = await connect();
    const events = collectEvents(client, "contract-life");
    const domain = await client.defineDomainXml(tinyDomainXml("contract-life"), { validate: true });
    assert.deepEqual(await client.lookupDomainByName("contract-life"), domain);
    assert.equal((await client.domainState(domain)).state, "shutoff");
    const started = await client.startDomain(domain);
    assert.ok(started.id > 0, "a running domain has an id");
    assert.deepEqual(await client.domainState(domain), { state: "running", reason: "booted" });
    assert.deepEqual(names(await client.listAllDomains("active")), ["contract-life"]);
    await client.destroyDomain(started);
    assert.deepEqual(await client.domainState(domain), { state: "shutoff", reason: "destroyed" });
    assert.deepEqual(names(await client.listAllDomains("inactive")), ["contract-life"]);
    await client.undefineDomain(domain, { nvram: true });
    assert.deepEqual(await client.listAllDomains(), []);
    await events.until("undefined removed");
    const seen = events.seen.filter((one) => !/^(resumed|shutdown) /.test(one));
    assert.deepEqual(seen, ["defined added", "started booted", "stopped destroyed", "undefined removed"]);
  });

  test("metadata is found by its namespace, and missing metadata has an error code", { skip }, async () => {
    using client = await connect();
    const domain = await client.defineDomainXml(tinyDomainXml("contract-metadata"));
    assert.match(await client.domainMetadata(domain, METADATA_URI), /vm [^>]*job=['"]42['"]/);
    assert.match(await client.domainXml(domain, { inactive: true }), /contract-metadata/);
    await rejectsWith(client.domainMetadata(domain, "urn:other"), LibvirtErrorCode.NO_DOMAIN_METADATA);
    await client.undefineDomain(domain);
  });

  test("the usual refusals carry libvirt's code and the name of the call", { skip }, async () => {
    using client = await connect();
    await rejectsWith(client.lookupDomainByName("contract-nobody"), LibvirtErrorCode.NO_DOMAIN);
    await rejectsWith(client.defineDomainXml("<domain"), LibvirtErrorCode.XML_DETAIL);
    const domain = await client.defineDomainXml(tinyDomainXml("contract-refusals"));
    await rejectsWith(client.destroyDomain(domain), LibvirtErrorCode.OPERATION_INVALID);
    await client.startDomain(domain);
    await assert.rejects(client.startDomain(domain), {
      name: "LibvirtError",
      code: LibvirtErrorCode.OPERATION_INVALID,
      procedure: "domain_create_with_flags",
      message: /already running/,
    });
    await client.destroyDomain(domain);
    await client.undefineDomain(domain);
    await rejectsWith(client.destroyDomain(domain), LibvirtErrorCode.NO_DOMAIN);
  });
}

/** Tests that any daemon's consoles pass. No program in the guest answers. `run` runs the test that takes a console over by force. */
export function testConsoleContract(
  connect: () => Promise<LibvirtClient>,
  skip: string | false,
  run: (body: () => Promise<void>) => Promise<void> = (body) => body(),
): void {
  test("a missing console is refused; a console opens, accepts bytes, and ends with its guest", {
    skip,
  }, async () => {
    using client = await connect();
    const domain = await client.defineDomainXml(tinyDomainXml("contract-console"));
    await rejectsWith(client.openConsole(domain), LibvirtErrorCode.OPERATION_INVALID);
    const started = await client.startDomain(domain);
    await rejectsWith(client.openConsole(started, { device: "serial7" }), LibvirtErrorCode.INTERNAL_ERROR);
    const stream = await client.openConsole(started, { device: "serial0" });
    await new Promise<void>((resolve, reject) => {
      stream.write("typed\n", (error) => (error ? reject(error) : resolve()));
    });
    stream.resume();
    const over = closed(stream);
    await client.destroyDomain(started);
    await over;
    await client.undefineDomain(domain);
  });

  const takeOver = async () => {
    using client = await connect();
    const domain = await client.startDomain(await client.defineDomainXml(tinyDomainXml("contract-taken")));
    const first = await client.openConsole(domain, { device: "serial0" });
    first.resume();
    await rejectsWith(client.openConsole(domain, { device: "serial0" }), LibvirtErrorCode.OPERATION_FAILED);
    const ousted = closed(first);
    const second = await client.openConsole(domain, { device: "serial0", force: true });
    await ousted;
    second.resume();
    const ended = closed(second);
    second.end();
    await ended;
    (await client.openConsole(domain, { device: "serial0" })).destroy();
    await client.destroyDomain(domain);
    await client.undefineDomain(domain);
  };
  test(
    "a console in use is refused, or taken over by force; it is free again after its stream",
    {
      skip,
    },
    () => run(takeOver),
  );
}

/**
 * Resolves at the stream's end, with or without an error: a daemon may report the device's failure before, or instead
 * of, the end.
 */
function closed(stream: Duplex): Promise<void> {
  stream.on("error", () => {});
  return new Promise((resolve) => stream.once("close", resolve));
}

function collectEvents(client: LibvirtClient, name: string) {
  const seen: string[] = [];
  let wake: () => void = () => undefined;
  client.onLifecycle(({ domain, event, detail }: LifecycleEvent) => {
    if (domain.name === name) seen.push(`${event} ${detail}`);
    wake();
  });
  return {
    seen,
    async until(event: string): Promise<void> {
      while (!seen.includes(event)) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
}

function names(domains: { name: string }[]): string[] {
  return domains.map((domain) => domain.name);
}

async function rejectsWith(promise: Promise<unknown>, code: number): Promise<void> {
  await assert.rejects(promise, (error) => isLibvirtError(error, code) || assert.fail(String(error)));
}
