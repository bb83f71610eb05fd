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

/** The documents of a NoCloud seed. */
export interface Seed {
  /** `instance-id` and `local-hostname`, in YAML; JSON in the forms that illumos/metadata-agent may read. */
  readonly metaData: string;
  readonly userData: string;
  /** How the guest's network is set up; without it the guest asks DHCP. */
  readonly networkConfig?: string;
  /** What cloud-init reads besides; others do not know it. */
  readonly vendorData?: string;
}
