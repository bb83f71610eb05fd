import type { Codec } from "./xdr.ts";
import { int32, int64, mapped, opaque, optional, string, struct, uint32 } from "./xdr.ts";

/** A domain (virtual machine) in libvirt's terms. `id` is -1 while the domain is not running. */
export interface Domain {
  name: string;
  /** In the usual form with dashes, lower case. */
  uuid: string;
  id: number;
}

/** A virtual network in libvirt's terms. */
export interface Network {
  name: string;
  /** In the usual form with dashes, lower case. */
  uuid: string;
}

/** One lease of a network's DHCP server. */
export interface DhcpLease {
  /** The bridge, for example `virbr0`. */
  interfaceName: string;
  /** Unix time in seconds. */
  expirySeconds: bigint;
  /** virIPAddrType: 0 = IPv4, 1 = IPv6. */
  addressType: number;
  mac: string | undefined;
  iaid: string | undefined;
  address: string;
  prefix: number;
  hostname: string | undefined;
  clientId: string | undefined;
}

/** The body of an error reply (`virNetMessageError` in virnetprotocol.x). */
export interface WireError {
  code: number;
  domain: number;
  message: string | undefined;
  level: number;
  subjectDomain: Domain | undefined;
  string1: string | undefined;
  string2: string | undefined;
  string3: string | undefined;
  integer1: number;
  integer2: number;
  subjectNetwork: Network | undefined;
}

const UUID_BYTES = 16;
const UUID_GROUPS = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/;

/** 16 bytes, shown as text with dashes. */
export const uuidCodec: Codec<string> = mapped(opaque(UUID_BYTES), {
  toWire: (text: string) => Buffer.from(text.replaceAll("-", ""), "hex"),
  fromWire: (bytes: Uint8Array) => Buffer.from(bytes).toString("hex").replace(UUID_GROUPS, "$1-$2-$3-$4-$5"),
});

/** `remote_nonnull_domain` */
export const domainCodec = struct<Domain>({ name: string, uuid: uuidCodec, id: int32 });

/** `remote_nonnull_network` */
export const networkCodec = struct<Network>({ name: string, uuid: uuidCodec });

/** `remote_network_dhcp_lease` */
export const dhcpLeaseCodec = struct<DhcpLease>({
  interfaceName: string,
  expirySeconds: int64,
  addressType: int32,
  mac: optional(string),
  iaid: optional(string),
  address: string,
  prefix: uint32,
  hostname: optional(string),
  clientId: optional(string),
});

/** `virNetMessageError` */
export const errorCodec = struct<WireError>({
  code: int32,
  domain: int32,
  message: optional(string),
  level: int32,
  subjectDomain: optional(domainCodec),
  string1: optional(string),
  string2: optional(string),
  string3: optional(string),
  integer1: int32,
  integer2: int32,
  subjectNetwork: optional(networkCodec),
});
