import type { DhcpLease, Domain, Network } from "./types.ts";
import { dhcpLeaseCodec, domainCodec, networkCodec } from "./types.ts";
import type { Codec } from "./xdr.ts";
import { array, boolean, int32, nothing, optional, string, struct, uint32, uint64 } from "./xdr.ts";

/** One remote call: its number, its name for errors, and the types of its arguments and reply. */
export interface Procedure<Args, Reply> {
  readonly number: number;
  readonly name: string;
  readonly args: Codec<Args>;
  readonly reply: Codec<Reply>;
}

/** A lifecycle event in the server's form. */
export interface LifecycleMessage {
  callbackId: number;
  domain: Domain;
  event: number;
  detail: number;
}

/** Upper bound of lists in replies (REMOTE_DOMAIN_LIST_MAX, REMOTE_NETWORK_LIST_MAX). */
const MAX_LIST_LENGTH = 16_384;
/** REMOTE_NETWORK_DHCP_LEASES_MAX */
const MAX_LEASES = 65_536;
/** REMOTE_AUTH_TYPE_LIST_MAX */
const MAX_AUTH_TYPES = 20;

const onlyDomain = struct<{ domain: Domain }>({ domain: domainCodec });
const onlyNetwork = struct<{ network: Network }>({ network: networkCodec });
const onlyXml = struct<{ xml: string }>({ xml: string });
const onlyName = struct<{ name: string }>({ name: string });
const onlyAutostart = struct<{ autostart: boolean }>({ autostart: boolean });
const onlyActive = struct<{ active: boolean }>({ active: boolean });
const onlyVersion = struct<{ version: bigint }>({ version: uint64 });
const domainAndFlags = struct<{ domain: Domain; flags: number }>({ domain: domainCodec, flags: uint32 });
const networkAndFlags = struct<{ network: Network; flags: number }>({ network: networkCodec, flags: uint32 });
const listRequest = struct<{ needResults: boolean; flags: number }>({ needResults: boolean, flags: uint32 });

/**
 * The calls that the client makes, with the numbers and types of libvirt's `remote_protocol.x`. The numbers are never
 * reused, so a newer server supports all of them, and an older one answers code 39 (`RPC`) to unknown calls.
 */
export const procedures = {
  connectOpen: procedure(
    1,
    "connect_open",
    struct<{ name: string | undefined; flags: number }>({ name: optional(string), flags: uint32 }),
    nothing,
  ),
  connectVersion: procedure(4, "connect_get_version", nothing, onlyVersion),
  connectCapabilities: procedure(7, "connect_get_capabilities", nothing, onlyXml),
  domainXml: procedure(14, "domain_get_xml_desc", domainAndFlags, onlyXml),
  domainLookupByName: procedure(23, "domain_lookup_by_name", onlyName, onlyDomain),
  networkCreate: procedure(39, "network_create", onlyNetwork, nothing),
  networkDefineXml: procedure(41, "network_define_xml", onlyXml, onlyNetwork),
  networkDestroy: procedure(42, "network_destroy", onlyNetwork, nothing),
  networkXml: procedure(43, "network_get_xml_desc", networkAndFlags, onlyXml),
  networkGetAutostart: procedure(44, "network_get_autostart", onlyNetwork, onlyAutostart),
  networkLookupByName: procedure(46, "network_lookup_by_name", onlyName, onlyNetwork),
  networkSetAutostart: procedure(
    48,
    "network_set_autostart",
    struct<{ network: Network; autostart: boolean }>({ network: networkCodec, autostart: boolean }),
    nothing,
  ),
  networkUndefine: procedure(49, "network_undefine", onlyNetwork, nothing),
  connectSupportsFeature: procedure(
    60,
    "connect_supports_feature",
    struct<{ feature: number }>({ feature: int32 }),
    struct<{ supported: boolean }>({ supported: boolean }),
  ),
  authList: procedure(
    66,
    "auth_list",
    nothing,
    struct<{ types: number[] }>({ types: array(int32, MAX_AUTH_TYPES) }),
  ),
  authPolkit: procedure(70, "auth_polkit", nothing, struct<{ complete: boolean }>({ complete: boolean })),
  networkIsActive: procedure(152, "network_is_active", onlyNetwork, onlyActive),
  connectLibVersion: procedure(157, "connect_get_lib_version", nothing, onlyVersion),
  domainCreateWithFlags: procedure(196, "domain_create_with_flags", domainAndFlags, onlyDomain),
  /** The reply opens a stream under the call's serial: the bytes of the console in both directions. */
  domainOpenConsole: procedure(
    201,
    "domain_open_console",
    struct<{ domain: Domain; device: string | undefined; flags: number }>({
      domain: domainCodec,
      device: optional(string),
      flags: uint32,
    }),
    nothing,
  ),
  domainState: procedure(
    212,
    "domain_get_state",
    domainAndFlags,
    struct<{ state: number; reason: number }>({ state: int32, reason: int32 }),
  ),
  domainUndefineFlags: procedure(231, "domain_undefine_flags", domainAndFlags, nothing),
  domainDestroyFlags: procedure(234, "domain_destroy_flags", domainAndFlags, nothing),
  domainShutdownFlags: procedure(258, "domain_shutdown_flags", domainAndFlags, nothing),
  domainMetadata: procedure(
    265,
    "domain_get_metadata",
    struct<{ domain: Domain; type: number; uri: string | undefined; flags: number }>({
      domain: domainCodec,
      type: int32,
      uri: optional(string),
      flags: uint32,
    }),
    struct<{ metadata: string }>({ metadata: string }),
  ),
  listAllDomains: procedure(
    273,
    "connect_list_all_domains",
    listRequest,
    struct<{ domains: Domain[]; count: number }>({
      domains: array(domainCodec, MAX_LIST_LENGTH),
      count: uint32,
    }),
  ),
  listAllNetworks: procedure(
    283,
    "connect_list_all_networks",
    listRequest,
    struct<{ networks: Network[]; count: number }>({
      networks: array(networkCodec, MAX_LIST_LENGTH),
      count: uint32,
    }),
  ),
  registerEvent: procedure(
    316,
    "connect_domain_event_callback_register_any",
    struct<{ eventId: number; domain: Domain | undefined }>({
      eventId: int32,
      domain: optional(domainCodec),
    }),
    struct<{ callbackId: number }>({ callbackId: int32 }),
  ),
  networkDhcpLeases: procedure(
    341,
    "network_get_dhcp_leases",
    struct<{ network: Network; mac: string | undefined; needResults: boolean; flags: number }>({
      network: networkCodec,
      mac: optional(string),
      needResults: boolean,
      flags: uint32,
    }),
    struct<{ leases: DhcpLease[]; count: number }>({
      leases: array(dhcpLeaseCodec, MAX_LEASES),
      count: uint32,
    }),
  ),
  domainCapabilities: procedure(
    342,
    "connect_get_domain_capabilities",
    struct<{
      emulator: string | undefined;
      architecture: string | undefined;
      machine: string | undefined;
      virtType: string | undefined;
      flags: number;
    }>({
      emulator: optional(string),
      architecture: optional(string),
      machine: optional(string),
      virtType: optional(string),
      flags: uint32,
    }),
    onlyXml,
  ),
  domainDefineXmlFlags: procedure(
    350,
    "domain_define_xml_flags",
    struct<{ xml: string; flags: number }>({ xml: string, flags: uint32 }),
    onlyDomain,
  ),
} as const;

/** The event that the server sends after {@link procedures}`.registerEvent` with event 0. */
export const lifecycleEvent = {
  number: 318,
  body: struct<LifecycleMessage>({
    callbackId: int32,
    domain: domainCodec,
    event: int32,
    detail: int32,
  }),
} as const;

/** VIR_DOMAIN_EVENT_ID_LIFECYCLE */
export const LIFECYCLE_EVENT_ID = 0;

/** Keepalive has two messages without a body: the server's ping and the client's pong. */
export const keepalive = { ping: 1, pong: 2 } as const;

function procedure<Args, Reply>(
  number: number,
  name: string,
  args: Codec<Args>,
  reply: Codec<Reply>,
): Procedure<Args, Reply> {
  return { number, name, args, reply };
}
