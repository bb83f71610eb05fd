import type { FoundDomain } from "../host.ts";

/** What the host has of one guest at one moment. */
export interface ObservedGuest {
  readonly domain: FoundDomain;
  /** Whether the domain runs or is paused, also a domain that is not ours. */
  readonly hasPower: boolean;
  /** Whether anything has the name of the guest's own directory, which is made first and removed last. */
  readonly hasDirectory: boolean;
  /** Whether overlay and seed are there; each gets its name when it is complete. */
  readonly hasFiles: boolean;
}
