import type { Duplex } from "node:stream";
import type { GuestInventory } from "../core/audit/inventories.ts";
import type { Egress } from "../core/image-map/egress.ts";
import type { GuestFile, GuestPower, Seed, SeedForm } from "../core/job/guest.ts";
import type { Backend, GuestSize } from "../core/job/job.ts";
import type { ShellOrder, WindowSize } from "../core/job/shell-order.ts";

export type { GuestFile, GuestPower, Seed, SeedForm };

/** The complete specification of one guest. */
export interface GuestSpec {
  readonly jobId: string;
  readonly attempt: number;
  /** The prepared image, read-only and shared: an absolute path. */
  readonly imagePath: string;
  readonly imageFormat: "raw" | "qcow2";
  /** SHA-256 of the published image, in hex; null while it is unknown. */
  readonly imageDigest: string | null;
  readonly size: GuestSize;
  readonly seedFormat: SeedForm;
  readonly diskBus: "virtio" | "sata" | "scsi" | "ide";
  readonly nicModel: "virtio" | "e1000" | "e1000e" | "rtl8139";
  readonly firmware: "bios" | "efi";
  /** Network access of the guest. */
  readonly egress: Egress;
  readonly seed: Seed;
  /** The files that the seed's user-data writes; a backend without a guest runs them itself. */
  readonly files: readonly GuestFile[];
  /** The URL that the runner calls, and its one-time token. Never logged. */
  readonly runner: { readonly url: string; readonly bootstrapToken: string };
  /**
   * Hosts that ran earlier attempts of this job and were lost. A lost host that shares the hypervisor with this one may
   * have left its guest under the name of the new guest: only that guest is replaced.
   */
  readonly formerHosts: readonly string[];
  /** True when the guest gets a line for shells, through which people enter it after a failure of its job. */
  readonly hasShell: boolean;
}

/** A shell in a guest, with its controls outside of the guest. */
export interface GuestShell {
  /**
   * Input and output of the shell. When the shell ends by itself, its last output is {@link shellEndMark}; when the
   * guest ends, the stream ends, or is destroyed with an error. Destroying the stream does not affect the guest.
   */
  readonly stream: Duplex;
  /** Ends the shell's input; `isLineBegun`: the last input was not a whole line. */
  endInput(isLineBegun: boolean): void;
  /** Sets the size of the window, unless that is the runner's task. */
  resize(size: WindowSize): Promise<void>;
}

/** Function type of `writeSeed` in src/guest, which backends receive: writes a seed in a form to a new file. */
export type WriteSeed = (path: string, seed: Seed, form: SeedForm) => Promise<void>;

/**
 * One kind of hypervisor on this host. Every method is idempotent, also after a crash at any point, and acts on the
 * observed state. Guests are named by {@link guestName}; things without our ownership mark are never touched. Calls
 * about one job come one after another; calls about different jobs may run at the same time. Failures are
 * `SolsticeError`s: `hypervisor_unavailable`, `hypervisor_failed`, `network_missing`, `disk_full`, `host_missing_tool`,
 * and from `create` also `image_unavailable` and `already_exists` (a guest of that name that belongs to another
 * installation, or to a newer attempt).
 */
export interface Hypervisor {
  readonly backend: Backend;
  /**
   * Connects without changing the host. Sufficient for `listInventory`, `power`, `readConsole` and `remove`; `prepare`
   * connects too.
   */
  connect(): Promise<void>;
  /** Prepares the host (network active and autostarted, directories). Throws an error with the remedy when it cannot. */
  prepare(): Promise<void>;
  /** Returns the host's address that guests can reach; the runner endpoint listens there. */
  runnerHost(): Promise<string>;
  /**
   * Installs the guest firewall, before the first guest: `runnerUrl` is the URL that guests may call. Idempotent:
   * verifies and repairs. Without effect in a backend without guests.
   */
  ensureFirewall(runnerUrl: string): Promise<void>;
  /** Removes the guest firewall; only when no guest is left. */
  removeFirewall(): Promise<void>;
  /**
   * Creates overlay, seed and domain, without power. Idempotent for the same job and attempt; remains of an earlier
   * attempt are removed first.
   */
  create(spec: GuestSpec): Promise<void>;
  /** Powers the guest on; a running guest stays unchanged, a missing guest is an error. */
  start(jobId: string): Promise<void>;
  /** Returns the power state from the hypervisor, never from memory. A foreign guest counts as `absent`. */
  power(jobId: string): Promise<GuestPower>;
  /** Requests that the guest shuts down (ACPI); returns at once. A guest without power stays unchanged. */
  requestShutdown(jobId: string): Promise<void>;
  /** Powers the guest off; a guest without power stays unchanged. */
  destroy(jobId: string): Promise<void>;
  /** Powers the guest off if necessary, then removes the guest and all its files. Idempotent. */
  remove(jobId: string): Promise<void>;
  /** Lists this installation's guests on this host, also guests of which only files are left. */
  listInventory(): Promise<GuestInventory>;
  /** Reads at most `maxBytes` of the serial console from byte `offset`; empty when there is no console (yet). */
  readConsole(jobId: string, offset: number, maxBytes: number): Promise<Buffer>;
  /**
   * Opens the line to the ordered shell in a running guest, and replaces an earlier one. In a real guest the runner
   * starts the shell at its end of the line, from the order in {@link shellOrderText}.
   */
  openShell(jobId: string, order: ShellOrder): Promise<GuestShell>;
  /**
   * Calls `listener` when a guest may have changed: a reason to read its state, not the state. Null: read the state of
   * every guest.
   */
  onChange(listener: (jobId: string | null) => void): () => void;
  close(): Promise<void>;
}
