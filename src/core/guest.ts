/** A file the guest gets through its seed. */
export interface GuestFile {
  /** Absolute path in the guest. */
  readonly path: string;
  readonly content: string;
  /** Octal permissions, such as "0700". */
  readonly permissions: string;
}

/** The two documents of a NoCloud seed. */
export interface Seed {
  readonly metaData: string;
  readonly userData: string;
}
