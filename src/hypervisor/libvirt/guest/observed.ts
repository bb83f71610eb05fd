import type { FoundDomain } from "../host.ts";

/** All parts of one guest on the host at one moment. */
export interface ObservedGuest {
  readonly domain: FoundDomain;
  /** True when the domain runs or is paused, also for a foreign domain. */
  readonly hasPower: boolean;
  /** True when the path of the guest's own directory exists; it is created first and removed last. */
  readonly hasDirectory: boolean;
  /** True when overlay and seed exist; each gets its final name when it is complete. */
  readonly hasFiles: boolean;
}
