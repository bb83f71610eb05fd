/** A client of libvirt's RPC protocol. See README.md beside this file. */

export type { LibvirtClient, LibvirtClientOptions, LifecycleEvent, Unsubscribe } from "./client.ts";
export { createLibvirtClient, formatVersion } from "./client.ts";
export type { ConnectionErrorReason } from "./errors.ts";
export { isLibvirtError, LibvirtConnectionError, LibvirtError, LibvirtErrorCode } from "./errors.ts";
export type {
  DomainState,
  DomainStateName,
  DomainStateReason,
  LifecycleEventDetail,
  LifecycleEventName,
} from "./states.ts";
export type { DhcpLease, Domain, Network } from "./wire/types.ts";
