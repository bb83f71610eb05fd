import type { GuestPower } from "../job/guest.ts";
import type { JobState } from "../job/job-state.ts";

/** The inventories, in the order of the report. Blobs are compared when somebody asks, and by the sweeps of each hour. */
export const inventoryNames = ["store", "hypervisor", "files", "network", "temporary", "blobs"] as const;

/** One of {@link inventoryNames}. */
export type InventoryName = (typeof inventoryNames)[number];

/** A guest as the hypervisor has it: a domain, a zone, a process with our mark. */
export interface DomainEntry {
  readonly name: string;
  readonly jobId: string;
  readonly attempt: number;
  readonly power: GuestPower;
  /** The files of its directory that it cannot run without; empty where a backend needs none. */
  readonly needs: readonly string[];
}

/** Something with our mark whose name is not the one that we would have given it: a copy that a person made. */
export interface MisnamedEntry {
  readonly name: string;
  /** The job that the mark speaks of. */
  readonly jobId: string;
  /** What a person types to remove it. */
  readonly command: string;
}

/** The directory of one guest, below the data directory; or, where that is gone, the name of what else is left of its files. */
export interface DirectoryEntry {
  readonly path: string;
  readonly jobId: string;
  /** The names of the files in it. */
  readonly files: readonly string[];
  /** The network address that its guest was given; null where none is written down. */
  readonly macAddress: string | null;
}

/** A log that the hypervisor keeps of a guest, outside of our directories. Its name alone does not make it ours. */
export interface GuestLogEntry {
  readonly path: string;
  readonly jobId: string;
}

/** An address that the network's DHCP server keeps for one of our network cards. */
export interface LeaseEntry {
  readonly macAddress: string;
  readonly address: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** The host's end of a network card of ours. */
export interface InterfaceEntry {
  readonly name: string;
  /** The address of the guest's end. */
  readonly macAddress: string;
  /** What a person types to look at it. */
  readonly command: string;
}

/** What a host holds of guests, without any conclusion. Nothing foreign is in it, except logs (see there). */
export interface GuestInventory {
  readonly domains: readonly DomainEntry[];
  readonly misnamed: readonly MisnamedEntry[];
  readonly directories: readonly DirectoryEntry[];
  readonly logs: readonly GuestLogEntry[];
  readonly leases: readonly LeaseEntry[];
  readonly interfaces: readonly InterfaceEntry[];
}

/** A host that holds nothing of ours. */
export const emptyGuestInventory: GuestInventory = {
  domains: [],
  misnamed: [],
  directories: [],
  logs: [],
  leases: [],
  interfaces: [],
};

/** A file (or folder) that our code makes for a while. */
export interface TemporaryEntry {
  readonly path: string;
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number;
  /** Whether somebody works on it, or will go on with it. */
  readonly isHeld: boolean;
  /** How old it gets at most while all is well, in ms. */
  readonly staleAfterMs: number;
  /** What it is, in words that follow "This is". */
  readonly what: string;
}

/** A job as far as an audit of one host needs it, whoever runs it. */
export interface JobEntry {
  readonly id: string;
  readonly state: JobState;
  readonly attempt: number;
  readonly hostId: string | null;
  /** Whether its present attempt has a machine record, gone or not. */
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
  /** Of the jobs with a guest's log: those that ever had a machine on this host. */
  readonly ranHere: ReadonlySet<string>;
}

/** All that an audit of one host compares. The traces must have been read before the store: intent is written first. */
export interface Inventories {
  readonly hostId: string;
  /** When they were read, in ms since the epoch. */
  readonly now: number;
  /** Whether an orchestrator drives the active jobs, and so sees to a guest that disappeared. */
  readonly isDriven: boolean;
  readonly store: StoreInventory;
  readonly guestInventory: GuestInventory;
  readonly temporary: readonly TemporaryEntry[];
}
