/**
 * State of a guest as seen from its host.
 * `absent`: nothing of it exists. `stopped`: something exists (a domain, a zone, a file) but does not run.
 * `crashed`: as `stopped`, and the hypervisor reports that the guest did not shut down itself.
 */
export type GuestPower = "absent" | "stopped" | "running" | "paused" | "crashed";

/** A file that the seed brings into the guest. */
export interface GuestFile {
  /** Absolute path in the guest. */
  readonly path: string;
  readonly content: string;
  /** Octal permissions, such as "0700". */
  readonly permissions: string;
}

/** Form of a guest's seed: which documents its disk has, and in which format. */
export type SeedForm = "iso" | "vfat" | "cpio";

/**
 * The static address of a guest's only network card. Every text here is an address: the seed writes them into a script.
 */
export interface StaticNetwork {
  /** Such as `02:08:20:00:0a:07`. The guest finds the card by it, since card names differ between systems. */
  readonly macAddress: string;
  /** IPv4, like the gateway and the nameservers. */
  readonly address: string;
  /** Prefix length of the subnet, in bits. */
  readonly prefix: number;
  readonly gateway: string;
  readonly nameservers: readonly string[];
}

/** Contents of a seed: the documents of NoCloud, and the network, which each form writes in its own way. */
export interface Seed {
  /** `instance-id` and `local-hostname`, in YAML; JSON in the forms that illumos/metadata-agent may read. */
  readonly metaData: string;
  readonly userData: string;
  /** The guest's address when no DHCP server assigns one. */
  readonly network?: StaticNetwork;
  /** Additional data for cloud-init; other agents ignore it. */
  readonly vendorData?: string;
}
