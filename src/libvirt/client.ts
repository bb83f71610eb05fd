import type { Duplex } from "node:stream";
import { Channel } from "./connection/channel.ts";
import { openConsoleStream } from "./connection/console-stream.ts";
import { type Endpoint, parseLibvirtUri } from "./connection/uri.ts";
import type { LibvirtConnectionError } from "./errors.ts";
import type { DomainState, LifecycleEventDetail, LifecycleEventName } from "./states.ts";
import { nameDomainState, nameLifecycleEvent } from "./states.ts";
import type { Procedure } from "./wire/procedures.ts";
import { LIFECYCLE_EVENT_ID, lifecycleEvent, procedures } from "./wire/procedures.ts";
import type { DhcpLease, Domain, Network } from "./wire/types.ts";
import { decode } from "./wire/xdr.ts";

/** Options of {@link createLibvirtClient}. */
export interface LibvirtClientOptions {
  /** `qemu:///system`, `qemu:///session` or `qemu+unix:///system?socket=/path`. */
  uri: string;
  /** Directory of a session daemon's sockets, usually `$XDG_RUNTIME_DIR`. Needed for `qemu:///session` only. */
  runtimeDirectory?: string;
  /** Time limit of one call, including its time in the queue and without a connection. Default 60. */
  callTimeoutSeconds?: number;
  /** Time limit of one attempt to connect, handshake included. Default 30. */
  connectTimeoutSeconds?: number;
}

/** A change of a domain. A reason to read the state, not the state itself. */
export interface LifecycleEvent {
  domain: Domain;
  event: LifecycleEventName;
  detail: LifecycleEventDetail;
}

/** Ends a subscription. */
export type Unsubscribe = () => void;

const DEFAULT_CALL_TIMEOUT_SECONDS = 60;
const DEFAULT_CONNECT_TIMEOUT_SECONDS = 30;

const ListFlag = { all: 0, active: 1, inactive: 2 } as const;
const DomainXmlFlag = { secure: 1, inactive: 2 } as const;
const ShutdownFlag = { default: 0, acpi: 1, agent: 2 } as const;
const UndefineFlag = { managedSave: 1, snapshotsMetadata: 2, nvram: 4, keepNvram: 8 } as const;
const DEFINE_VALIDATE = 1;
const START_PAUSED = 1;
const DESTROY_GRACEFUL = 1;
const METADATA_ELEMENT = 2;

/**
 * Connects to a libvirt daemon. Resolves when the daemon is ready for calls; rejects with LibvirtConnectionError or
 * LibvirtError when this first attempt fails. After that the client reconnects automatically until it is closed.
 */
export async function createLibvirtClient(options: LibvirtClientOptions): Promise<LibvirtClient> {
  const client = new LibvirtClient(options);
  try {
    await client.open();
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}

/**
 * The calls of a libvirt daemon. Each rejects with LibvirtError (the daemon refused) or LibvirtConnectionError (no
 * answer). Slow calls (define, start, destroy ...) have a connection of their own, so that lists and states return at
 * once; a call made while there is no connection waits for one until its deadline.
 */
export class LibvirtClient {
  readonly #fast: Channel;
  readonly #slow: Channel;
  readonly #common: {
    readonly endpoint: Endpoint;
    readonly callTimeoutSeconds: number;
    readonly connectTimeoutSeconds: number;
  };
  readonly #lifecycleListeners = new Set<(event: LifecycleEvent) => void>();
  readonly #reconnectListeners = new Set<() => void>();
  readonly #disconnectListeners = new Set<(error: LibvirtConnectionError) => void>();

  /** Called by {@link createLibvirtClient}, which also opens the client. */
  constructor(options: LibvirtClientOptions) {
    const common = {
      endpoint: parseLibvirtUri(options.uri, options.runtimeDirectory),
      callTimeoutSeconds: options.callTimeoutSeconds ?? DEFAULT_CALL_TIMEOUT_SECONDS,
      connectTimeoutSeconds: options.connectTimeoutSeconds ?? DEFAULT_CONNECT_TIMEOUT_SECONDS,
    };
    this.#common = common;
    this.#slow = new Channel({ ...common, prepare: undefined });
    this.#fast = new Channel({
      ...common,
      prepare: async (connection) => {
        await connection.call(procedures.registerEvent, { eventId: LIFECYCLE_EVENT_ID, domain: undefined });
      },
      onEvent: (procedure, body) => this.#receiveEvent(procedure, body),
      onDisconnect: (error) => notify(this.#disconnectListeners, error),
      onReconnect: () => notify(this.#reconnectListeners, undefined),
    });
  }

  /** Opens both connections for the first time. Called by {@link createLibvirtClient}. */
  async open(): Promise<void> {
    await Promise.all([this.#fast.open(), this.#slow.open()]);
  }

  /** True while calls are answered and events arrive. */
  get connected(): boolean {
    return this.#fast.connected;
  }

  /** Ends both connections at once. Unsettled calls are rejected (`closed`). */
  close(): void {
    this.#fast.close();
    this.#slow.close();
  }

  /** The same as {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Calls `listener` for every lifecycle event of every domain, while connected. */
  onLifecycle(listener: (event: LifecycleEvent) => void): Unsubscribe {
    return subscribe(this.#lifecycleListeners, listener);
  }

  /**
   * Calls `listener` after a lost connection is back and events are registered again. Events in between are lost: the
   * caller must read the state of every domain again.
   */
  onReconnect(listener: () => void): Unsubscribe {
    return subscribe(this.#reconnectListeners, listener);
  }

  /** Calls `listener` when the connection is lost and the client starts to reconnect. */
  onDisconnect(listener: (error: LibvirtConnectionError) => void): Unsubscribe {
    return subscribe(this.#disconnectListeners, listener);
  }

  /** Version of libvirt: 1 000 000 × major + 1000 × minor + release. */
  async libVersion(): Promise<number> {
    const { version } = await this.#quick(procedures.connectLibVersion, undefined);
    return Number(version);
  }

  /** Version of the hypervisor (QEMU), coded as in {@link libVersion}. */
  async hypervisorVersion(): Promise<number> {
    const { version } = await this.#quick(procedures.connectVersion, undefined);
    return Number(version);
  }

  /** Returns the host's capabilities as XML: architectures, machines, virtualisation types. */
  async capabilities(): Promise<string> {
    const { xml } = await this.#long(procedures.connectCapabilities, undefined);
    return xml;
  }

  /**
   * Returns the capabilities of domains of one kind as XML. Rejects (`INVALID_ARG` ...) when the host cannot run such
   * domains.
   */
  async domainCapabilities(
    kind: { emulator?: string; architecture?: string; machine?: string; virtType?: string } = {},
  ): Promise<string> {
    const { emulator, architecture, machine, virtType } = kind;
    const args = { emulator, architecture, machine, virtType, flags: 0 };
    const { xml } = await this.#long(procedures.domainCapabilities, args);
    return xml;
  }

  /** Lists domains: all, only running ones (`active`), or only stopped ones (`inactive`). */
  async listAllDomains(which: keyof typeof ListFlag = "all"): Promise<Domain[]> {
    const args = { needResults: true, flags: ListFlag[which] };
    const { domains } = await this.#quick(procedures.listAllDomains, args);
    return domains;
  }

  /** Returns the domain of that name. Rejects with `NO_DOMAIN` when it does not exist. */
  async lookupDomainByName(name: string): Promise<Domain> {
    const { domain } = await this.#quick(procedures.domainLookupByName, { name });
    return domain;
  }

  /** Defines a domain, or replaces the configuration of the domain with that name and UUID. Does not start the domain. */
  async defineDomainXml(xml: string, options: { validate?: boolean } = {}): Promise<Domain> {
    const flags = options.validate ? DEFINE_VALIDATE : 0;
    const { domain } = await this.#long(procedures.domainDefineXmlFlags, { xml, flags });
    return domain;
  }

  /** Starts a defined domain; resolves with its new id when it runs. `OPERATION_INVALID` when it already runs. */
  async startDomain(domain: Domain, options: { paused?: boolean } = {}): Promise<Domain> {
    const flags = options.paused ? START_PAUSED : 0;
    const reply = await this.#long(procedures.domainCreateWithFlags, { domain, flags });
    return reply.domain;
  }

  /** Returns the domain's state and the reason of the state. */
  async domainState(domain: Domain): Promise<DomainState> {
    const { state, reason } = await this.#quick(procedures.domainState, { domain, flags: 0 });
    return nameDomainState(state, reason);
  }

  /** Returns the XML of the running domain; `inactive`: of its next start; `secure`: with passwords. */
  async domainXml(domain: Domain, options: { inactive?: boolean; secure?: boolean } = {}): Promise<string> {
    const flags = combineFlags(DomainXmlFlag, options);
    const { xml } = await this.#quick(procedures.domainXml, { domain, flags });
    return xml;
  }

  /**
   * Returns the child of `<metadata>` with that namespace, as XML without prefix and `xmlns`. Rejects with
   * `NO_DOMAIN_METADATA` when it is missing.
   */
  async domainMetadata(domain: Domain, namespaceUri: string): Promise<string> {
    const args = { domain, type: METADATA_ELEMENT, uri: namespaceUri, flags: 0 };
    const { metadata } = await this.#quick(procedures.domainMetadata, args);
    return metadata;
  }

  /** Requests a shutdown of the guest, by ACPI or its agent. Resolves once requested; the guest may ignore the request. */
  async shutdownDomain(domain: Domain, via: keyof typeof ShutdownFlag = "default"): Promise<void> {
    await this.#long(procedures.domainShutdownFlags, { domain, flags: ShutdownFlag[via] });
  }

  /** Ends the domain at once. `graceful`: fail instead of killing a QEMU that does not exit. */
  async destroyDomain(domain: Domain, options: { graceful?: boolean } = {}): Promise<void> {
    const flags = options.graceful ? DESTROY_GRACEFUL : 0;
    await this.#long(procedures.domainDestroyFlags, { domain, flags });
  }

  /** Undefines the domain; a running one continues as transient. The options list what else to remove, or to keep. */
  async undefineDomain(
    domain: Domain,
    options: Partial<Record<keyof typeof UndefineFlag, boolean>> = {},
  ): Promise<void> {
    const flags = combineFlags(UndefineFlag, options);
    await this.#long(procedures.domainUndefineFlags, { domain, flags });
  }

  /**
   * Opens a running domain's console as a stream in both directions, until the caller ends or destroys it. The stream
   * has its own connection, which {@link close} does not end. `device` is an alias such as `serial1`; without `force` a
   * console in use is refused.
   */
  openConsole(domain: Domain, options: { device?: string; force?: boolean } = {}): Promise<Duplex> {
    const { endpoint, connectTimeoutSeconds: timeoutSeconds } = this.#common;
    const { device, force = false } = options;
    return openConsoleStream({ endpoint, timeoutSeconds, domain, device, force });
  }

  /** Lists all virtual networks, active or not. */
  async listNetworks(which: keyof typeof ListFlag = "all"): Promise<Network[]> {
    const args = { needResults: true, flags: ListFlag[which] };
    const { networks } = await this.#quick(procedures.listAllNetworks, args);
    return networks;
  }

  /** Returns the network of that name. Rejects with `NO_NETWORK` when it does not exist. */
  async lookupNetwork(name: string): Promise<Network> {
    const { network } = await this.#quick(procedures.networkLookupByName, { name });
    return network;
  }

  /** The network's XML: bridge, addresses, DHCP range. */
  async networkXml(network: Network): Promise<string> {
    const { xml } = await this.#quick(procedures.networkXml, { network, flags: 0 });
    return xml;
  }

  /** Defines a network, or replaces its configuration. Does not start the network. */
  async defineNetworkXml(xml: string): Promise<Network> {
    const { network } = await this.#long(procedures.networkDefineXml, { xml });
    return network;
  }

  /** Starts a defined network. `OPERATION_INVALID` when it is already active. */
  async startNetwork(network: Network): Promise<void> {
    await this.#long(procedures.networkCreate, { network });
  }

  /** Stops a network. */
  async destroyNetwork(network: Network): Promise<void> {
    await this.#long(procedures.networkDestroy, { network });
  }

  /** Undefines a network. */
  async undefineNetwork(network: Network): Promise<void> {
    await this.#long(procedures.networkUndefine, { network });
  }

  /** True while the network is started. */
  async networkActive(network: Network): Promise<boolean> {
    const { active } = await this.#quick(procedures.networkIsActive, { network });
    return active;
  }

  /** True when the network starts with the daemon. */
  async networkAutostart(network: Network): Promise<boolean> {
    const { autostart } = await this.#quick(procedures.networkGetAutostart, { network });
    return autostart;
  }

  /** Sets whether the network starts with the daemon. */
  async setNetworkAutostart(network: Network, autostart: boolean): Promise<void> {
    await this.#long(procedures.networkSetAutostart, { network, autostart });
  }

  /** Returns the leases of the network's DHCP server, or only those of one MAC address. */
  async dhcpLeases(network: Network, mac?: string): Promise<DhcpLease[]> {
    const args = { network, mac, needResults: true, flags: 0 };
    const { leases } = await this.#quick(procedures.networkDhcpLeases, args);
    return leases;
  }

  #quick<Args, Reply>(procedure: Procedure<Args, Reply>, args: Args): Promise<Reply> {
    return this.#fast.call(procedure, args);
  }

  #long<Args, Reply>(procedure: Procedure<Args, Reply>, args: Args): Promise<Reply> {
    return this.#slow.call(procedure, args);
  }

  #receiveEvent(procedure: number, body: Uint8Array): void {
    if (procedure !== lifecycleEvent.number) return;
    const { domain, event, detail } = decode(lifecycleEvent.body, body);
    notify(this.#lifecycleListeners, { domain, ...nameLifecycleEvent(event, detail) });
  }
}

/** Formats a version number: 9000000 is "9.0.0". */
export function formatVersion(version: number): string {
  return [Math.floor(version / 1_000_000), Math.floor(version / 1000) % 1000, version % 1000].join(".");
}

function combineFlags<Name extends string>(
  flags: Record<Name, number>,
  chosen: Partial<Record<Name, boolean>>,
): number {
  const names = Object.keys(flags) as Name[];
  return names.reduce((sum, name) => (chosen[name] ? sum | flags[name] : sum), 0);
}

function subscribe<T>(listeners: Set<(value: T) => void>, listener: (value: T) => void): Unsubscribe {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * Runs each listener in a microtask of its own, so that an error of a listener is uncaught there and has no effect
 * here.
 */
function notify<T>(listeners: Set<(value: T) => void>, value: T): void {
  for (const listener of listeners) queueMicrotask(() => listener(value));
}
