import type { Duplex } from "node:stream";
import type { GuestInventory } from "../core/audit/inventories.ts";
import type { Egress } from "../core/image-map/egress.ts";
import type { GuestFile, GuestPower, Seed, SeedForm } from "../core/job/guest.ts";
import type { Backend, GuestSize } from "../core/job/job.ts";
import type { ShellOrder, WindowSize } from "../core/job/shell-order.ts";

export type { GuestFile, GuestPower, Seed, SeedForm };

/** Everything needed to make one guest. */
export interface GuestSpec {
  readonly jobId: string;
  readonly attempt: number;
  /** The prepared image, read-only and shared: an absolute path. */
  readonly imagePath: string;
  readonly imageFormat: "raw" | "qcow2";
  /** SHA-256 of the image as it was published, in hex; null while it is not known yet. */
  readonly imageDigest: string | null;
  readonly size: GuestSize;
  readonly seedFormat: SeedForm;
  readonly diskBus: "virtio" | "sata" | "scsi" | "ide";
  readonly nicModel: "virtio" | "e1000" | "e1000e" | "rtl8139";
  readonly firmware: "bios" | "efi";
  /** What the guest may reach in the network. */
  readonly egress: Egress;
  readonly seed: Seed;
  /** The files that the seed's user-data would write; a backend without a guest runs them itself. */
  readonly files: readonly GuestFile[];
  /** What the runner calls, and the one-time token it calls with. Never logged. */
  readonly runner: { readonly url: string; readonly bootstrapToken: string };
  /**
   * The hosts that held earlier attempts of this job and were lost with them. One that shares the hypervisor with us may
   * have left its guest under the name that ours needs: that guest is replaced, and no other.
   */
  readonly formerHosts: readonly string[];
  /** Whether the guest gets a line for shells, which people enter by when its job has failed. */
  readonly hasShell: boolean;
}

/** A shell in a guest, from outside. */
export interface GuestShell {
  /**
   * What is typed, and what is shown. Where the shell ends by itself, the last it shows is {@link shellEndMark}; where the
   * guest goes, it just ends, or is destroyed with an error. Destroying it leaves the guest as it is.
   */
  readonly stream: Duplex;
  /** Tells the shell that no more input comes; `isLineBegun`: after the middle of a line. */
  endInput(isLineBegun: boolean): void;
  /** Tells a window of another size, where that is not the runner's to do. */
  resize(size: WindowSize): Promise<void>;
}

/** Writes a seed in a form to a file that does not exist yet: `writeSeed` of src/guest, which backends are given. */
export type WriteSeed = (path: string, seed: Seed, form: SeedForm) => Promise<void>;

/**
 * One kind of hypervisor on this host. Every method can be repeated after a crash at any point, and acts on what it
 * observes. Guests are named by {@link guestName}; things without our ownership mark are never touched.
 * Calls about one job come one after another; calls about different jobs may run at the same time.
 * Failures are `SolsticeError`s: `hypervisor_unavailable`, `hypervisor_failed`, `network_missing`, `disk_full`,
 * `host_missing_tool`, and from `create` also `image_unavailable` and `already_exists` (a guest of that name that is
 * not ours, or of a newer attempt).
 */
export interface Hypervisor {
  readonly backend: Backend;
  /**
   * Connects, and changes nothing on the host. Enough to look (`listInventory`, `power`, `readConsole`) and to `remove`;
   * `prepare` does it too.
   */
  connect(): Promise<void>;
  /** Makes the host ready (network active and autostarted, directories), and fails with what to do where it cannot. */
  prepare(): Promise<void>;
  /** The host's address that guests reach; the runner endpoint listens there. */
  runnerHost(): Promise<string>;
  /**
   * Closes the network around the guests, before the first of them: `runnerUrl` is what they may call. Said again, it looks
   * whether all is in place, and repairs what somebody changed. A backend without guests does nothing.
   */
  ensureFirewall(runnerUrl: string): Promise<void>;
  /** Takes back what `ensureFirewall` put on the host; only when no guest is left. */
  removeFirewall(): Promise<void>;
  /**
   * Makes overlay, seed and domain, without power. Repeating it for the same job and attempt is the same guest; what is
   * left of an earlier attempt is removed first.
   */
  create(spec: GuestSpec): Promise<void>;
  /** Gives the guest power; a running guest stays as it is, an absent one is an error. */
  start(jobId: string): Promise<void>;
  /** As asked of the hypervisor, not remembered. A guest that is not ours is `absent`. */
  power(jobId: string): Promise<GuestPower>;
  /** Asks the guest to shut itself down (ACPI); returns at once. A guest without power stays as it is. */
  requestShutdown(jobId: string): Promise<void>;
  /** Cuts the power; a guest without power stays as it is. */
  destroy(jobId: string): Promise<void>;
  /** Cuts the power if need be, then removes the guest and every file of it. Repeating it does nothing. */
  remove(jobId: string): Promise<void>;
  /** What this host holds of this installation's guests, also where only files are left of one. */
  listInventory(): Promise<GuestInventory>;
  /** The serial console from byte `offset` on, at most `maxBytes`; empty when there is none (yet). */
  readConsole(jobId: string, offset: number, maxBytes: number): Promise<Buffer>;
  /**
   * Opens the line to the shell that is ordered in a running guest, in place of an earlier one. In a real guest the runner
   * starts the shell at its end, as {@link shellOrderText} told it.
   */
  openShell(jobId: string, order: ShellOrder): Promise<GuestShell>;
  /** Calls `listener` when a guest may have changed; a wake-up, not a truth. Null: look at every guest again. */
  onChange(listener: (jobId: string | null) => void): () => void;
  close(): Promise<void>;
}
