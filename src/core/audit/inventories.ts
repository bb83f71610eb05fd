import type { GuestPower } from "../job/guest.ts";
import type { JobState } from "../job/job-state.ts";

/** The inventories, in the order of the report. Blobs are compared only on request and by the hourly sweeps. */
export const inventoryNames = ["store", "hypervisor", "files", "network", "temporary", "blobs"] as const;

/** One of {@link inventoryNames}. */
export type InventoryName = (typeof inventoryNames)[number];

/** A guest as the hypervisor has it: a domain, a zone, a process with our mark. */
export interface DomainEntry {
  readonly name: string;
  readonly jobId: string;
  readonly attempt: number;
  readonly power: GuestPower;
  /** Files of its directory that the guest cannot run without; empty for a backend that needs none. */
  readonly needs: readonly string[];
}

/** A guest with our mark and a name that we did not give it: a person copied or renamed a guest. */
export interface MisnamedEntry {
  readonly name: string;
  /** The job that the mark names. */
  readonly jobId: string;
  /** The command that removes it. */
  readonly command: string;
}

/**
 * The directory of one guest below the data directory; if that is gone, the name of what is left of the guest's files.
 */
export interface DirectoryEntry {
  readonly path: string;
  readonly jobId: string;
  /** The names of the files in it. */
  readonly files: readonly string[];
  /** The MAC address of its guest; null when no file records it. */
  readonly macAddress: string | null;
}

/**
 * A log that the hypervisor keeps of a guest, outside our directories. The name alone does not prove that it is ours.
 */
export interface GuestLogEntry {
  readonly path: string;
  readonly jobId: string;
}

/** An address that the network's DHCP server reserves for one of our network cards. */
export interface LeaseEntry {
  readonly macAddress: string;
  readonly address: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** The host's end of one of our network cards. */
export interface InterfaceEntry {
  readonly name: string;
  /** The address of the guest's end. */
  readonly macAddress: string;
  /** The command that shows it. */
  readonly command: string;
}

/** Everything on a host that belongs to our guests, without conclusions. Logs may be foreign ({@link GuestLogEntry}). */
export interface GuestInventory {
  readonly domains: readonly DomainEntry[];
  readonly misnamed: readonly MisnamedEntry[];
  readonly directories: readonly DirectoryEntry[];
  readonly logs: readonly GuestLogEntry[];
  readonly leases: readonly LeaseEntry[];
  readonly interfaces: readonly InterfaceEntry[];
}

/** The inventory of a host without any of our guests. */
export const emptyGuestInventory: GuestInventory = {
  domains: [],
  misnamed: [],
  directories: [],
  logs: [],
  leases: [],
  interfaces: [],
};

/** One of our temporary files or folders. */
export interface TemporaryEntry {
  readonly path: string;
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number;
  /** True while a process uses the entry, or will continue with it. */
  readonly isHeld: boolean;
  /** The age in ms that the entry never exceeds in normal operation. */
  readonly staleAfterMs: number;
  /** A description, in words that follow "This is". */
  readonly what: string;
}

/** The fields of a job that an audit needs. The job may run on any host. */
export interface JobEntry {
  readonly id: string;
  readonly state: JobState;
  readonly attempt: number;
  readonly hostId: string | null;
  /** True when its current attempt has a machine record, gone or not. */
  readonly hasMachine: boolean;
}

/** A machine record of this host that is not `gone`. */
export interface MachineEntry {
  readonly jobId: string;
  readonly attempt: number;
}

/** The store's inventory: every job that another inventory names or that is active on this host, and this host's machines. */
export interface StoreInventory {
  readonly jobs: ReadonlyMap<string, JobEntry>;
  readonly machines: readonly MachineEntry[];
  /** The jobs with a guest's log that once had a machine on this host. */
  readonly ranHere: ReadonlySet<string>;
}

/**
 * Everything that an audit of one host compares. The store must be read last, since it records an intent before the
 * host changes.
 */
export interface Inventories {
  readonly hostId: string;
  /** When they were read, in ms since the epoch. */
  readonly now: number;
  /** True when an orchestrator drives the active jobs, and so handles guests that disappeared. */
  readonly isDriven: boolean;
  readonly store: StoreInventory;
  readonly guestInventory: GuestInventory;
  readonly temporary: readonly TemporaryEntry[];
}
