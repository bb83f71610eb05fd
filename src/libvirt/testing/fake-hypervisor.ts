import { randomUUID } from "node:crypto";
import { LibvirtErrorCode } from "../errors.ts";
import { procedures } from "../wire/procedures.ts";
import type { Domain } from "../wire/types.ts";
import type { FakeLibvirtServer, FakeStream } from "./fake-server.ts";
import { FakeFault, startFakeServer } from "./fake-server.ts";

interface FakeDomain {
  domain: Domain;
  xml: string;
  /** The stream on the domain's console, which echoes its input like a terminal without a program. */
  console?: FakeStream | null;
  state: number;
  reason: number;
}

/** The numbers of libvirt-domain.h used in this file. */
const State = { running: 1, shutoff: 5 } as const;
const Reason = { unknown: 0, booted: 1, shutdown: 1, destroyed: 2 } as const;
const Event = { defined: 0, undefined: 1, started: 2, stopped: 5 } as const;
const StoppedDetail = { shutdown: 0, destroyed: 1 } as const;

/**
 * Starts a fake server with domains in memory: define, start, state, metadata, shut down, destroy, undefine behave and
 * fail like libvirt's, without a guest. It passes the same contract suite as a real daemon.
 */
export async function startFakeHypervisor(): Promise<FakeLibvirtServer> {
  const server = await startFakeServer();
  const domains = new Map<string, FakeDomain>();
  handleQueries(server, domains);
  handleConfiguration(server, domains);
  handlePower(server, domains);
  handleConsoles(server, domains);
  return server;
}

function handleQueries(server: FakeLibvirtServer, domains: Map<string, FakeDomain>): void {
  server.handle(procedures.connectLibVersion, () => ({ version: 9_000_000n }));
  server.handle(procedures.listAllDomains, ({ flags }) => {
    const chosen = [...domains.values()].filter((one) => matchesFilter(one, flags)).map((one) => one.domain);
    return { domains: chosen, count: chosen.length };
  });
  server.handle(procedures.domainLookupByName, ({ name }) => ({ domain: find(domains, name).domain }));
  server.handle(procedures.domainState, ({ domain }) => find(domains, domain.name));
  server.handle(procedures.domainXml, ({ domain }) => find(domains, domain.name));
  server.handle(procedures.domainMetadata, ({ domain, uri }) => {
    const { xml } = find(domains, domain.name);
    const element = xml.match(/<[^>]+>/g)?.find((tag) => tag.includes(`xmlns:`) && tag.includes(String(uri)));
    if (!element) throw new FakeFault(LibvirtErrorCode.NO_DOMAIN_METADATA, "metadata not found");
    return { metadata: element };
  });
}

function handleConfiguration(server: FakeLibvirtServer, domains: Map<string, FakeDomain>): void {
  server.handle(procedures.domainDefineXmlFlags, ({ xml }) => {
    const name = /<name>([^<]+)<\/name>/.exec(xml)?.[1];
    if (!name) throw new FakeFault(LibvirtErrorCode.XML_DETAIL, "(domain_definition):1: no domain found");
    const known = domains.get(name);
    const domain = known?.domain ?? { name, uuid: randomUUID(), id: -1 };
    domains.set(name, { state: State.shutoff, reason: Reason.unknown, ...known, domain, xml });
    server.sendLifecycle(domain, Event.defined, known ? 1 : 0);
    return { domain };
  });
  server.handle(procedures.domainUndefineFlags, ({ domain }) => {
    find(domains, domain.name);
    domains.delete(domain.name);
    server.sendLifecycle(domain, Event.undefined, 0);
  });
}

function handlePower(server: FakeLibvirtServer, domains: Map<string, FakeDomain>): void {
  let lastId = 0;
  server.handle(procedures.domainCreateWithFlags, ({ domain }) => {
    const found = find(domains, domain.name);
    if (found.state === State.running) throw invalid("domain is already running");
    lastId += 1;
    found.domain = { ...found.domain, id: lastId };
    Object.assign(found, { state: State.running, reason: Reason.booted });
    server.sendLifecycle(found.domain, Event.started, 0);
    return { domain: found.domain };
  });
  server.handle(procedures.domainDestroyFlags, ({ domain }) => {
    halt(server, find(domains, domain.name), "destroyed");
  });
  server.handle(procedures.domainShutdownFlags, ({ domain }) => {
    halt(server, find(domains, domain.name), "shutdown");
  });
}

function handleConsoles(server: FakeLibvirtServer, domains: Map<string, FakeDomain>): void {
  server.handleStream(procedures.domainOpenConsole, ({ domain, device, flags }, stream) => {
    const found = find(domains, domain.name);
    if (found.state !== State.running) throw invalid("domain is not running");
    if (device !== undefined && device !== "serial0") {
      throw new FakeFault(LibvirtErrorCode.INTERNAL_ERROR, `cannot find character device ${device}`);
    }
    if (found.console && (flags & 1) === 0) {
      throw new FakeFault(
        LibvirtErrorCode.OPERATION_FAILED,
        "operation failed: Active console session exists",
      );
    }
    found.console?.send(new Uint8Array(0));
    found.console = stream;
    const leave = () => {
      if (found.console === stream) found.console = null;
    };
    return {
      onData: (bytes) => stream.send(bytes),
      onFinish() {
        leave();
        stream.finish();
      },
      onClose: leave,
    };
  });
}

function halt(server: FakeLibvirtServer, found: FakeDomain, how: "shutdown" | "destroyed"): void {
  if (found.state !== State.running) throw invalid("domain is not running");
  found.domain = { ...found.domain, id: -1 };
  found.console?.send(new Uint8Array(0));
  Object.assign(found, { state: State.shutoff, reason: Reason[how], console: null });
  server.sendLifecycle(found.domain, Event.stopped, StoppedDetail[how]);
}

function find(domains: Map<string, FakeDomain>, name: string): FakeDomain {
  const found = domains.get(name);
  if (found) return found;
  const text = `Domain not found: no domain with matching name '${name}'`;
  throw new FakeFault(LibvirtErrorCode.NO_DOMAIN, text);
}

function invalid(reason: string): FakeFault {
  return new FakeFault(LibvirtErrorCode.OPERATION_INVALID, `Requested operation is not valid: ${reason}`);
}

/** 1 = active, 2 = inactive, 0 = all, as in virConnectListAllDomainsFlags. */
function matchesFilter(one: FakeDomain, flags: number): boolean {
  if (flags === 0) return true;
  return one.state === State.running ? (flags & 1) !== 0 : (flags & 2) !== 0;
}
