/**
 * What a guest looks like from outside.
 * `absent`: nothing of it exists. `stopped`: something exists (a domain, a zone, a file) but it has no power.
 * `crashed`: as `stopped`, and the hypervisor says that it did not end by itself.
 */
export type GuestPower = "absent" | "stopped" | "running" | "paused" | "crashed";

/** A file the guest gets through its seed. */
export interface GuestFile {
  /** Absolute path in the guest. */
  readonly path: string;
  readonly content: string;
  /** Octal permissions, such as "0700". */
  readonly permissions: string;
}

/** In which form a guest gets its seed: what of it is on the disk, and how. */
export type SeedForm = "iso" | "vfat" | "cpio";

/** The static address of a guest's one network card. Every text in it is an address: the seed puts them into a script. */
export interface StaticNetwork {
  /** `02:08:20:00:0a:07`: the card is found by it, since names differ between systems. */
  readonly macAddress: string;
  /** IPv4, as the gateway and the nameservers. */
  readonly address: string;
  /** Of the subnet, in bits. */
  readonly prefix: number;
  readonly gateway: string;
  readonly nameservers: readonly string[];
}

/** What a seed is made of: the documents of NoCloud, and the network, which each form writes in its own way. */
export interface Seed {
  /** `instance-id` and `local-hostname`, in YAML; JSON in the forms that illumos/metadata-agent may read. */
  readonly metaData: string;
  readonly userData: string;
  /** The guest's address where no DHCP server gives it one. */
  readonly network?: StaticNetwork;
  /** What cloud-init reads besides; others do not know it. */
  readonly vendorData?: string;
}
