import type { ErrorCode } from "../../../src/core/errors.ts";
import type { RunCommand } from "../../../src/host/command.ts";
import type { GuestSpec, Hypervisor } from "../../../src/hypervisor/hypervisor.ts";
import type { LifePart } from "./kills/live.ts";
import type { KillPoint } from "./kills/steps.ts";

/**
 * How a test guest behaves. `obedient`: says "guest is up", runs until asked to shut down, and gives back what is typed on
 * its line for shells. `deaf`: as that, but says "heard and ignored" when asked. `brief`: says "guest is up" and ends by
 * itself.
 */
export type Behaviour = "obedient" | "deaf" | "brief";

/** What someone else made under a guest's name. */
export interface Foreign {
  intact(): Promise<boolean>;
  remove(): Promise<void>;
}

/** What goes wrong with a host, and the reason that each backend must give for it. */
export const hostFailures = {
  "the hypervisor is gone": "hypervisor_unavailable",
  "a tool is missing": "host_missing_tool",
  "the disk is full": "disk_full",
  "the network is missing": "network_missing",
  "the image's file is gone": "image_unavailable",
} as const satisfies Record<string, ErrorCode>;

/** One of {@link hostFailures}. */
export type HostFailure = keyof typeof hostFailures;

/** A host on which something is wrong. */
export interface BrokenHost {
  /** Does what cannot work there, and rejects. Called once. */
  fail(): Promise<unknown>;
  /** Makes the host whole again, and closes what was opened for this. */
  repair(): Promise<void>;
}

/** What some backends do not have, and others are tested for: see {@link ContractOptions.cannotHappen}. */
export type Circumstance = HostFailure | "others have guests here" | "the process is killed";

/** How the suite kills what works with a backend. */
export interface Victim {
  /** The URL of a module that exports `openVictim(options): Hypervisor`; usually the harness' own, `import.meta.url`. */
  readonly module: string;
  /** The URL of a module that exports what `StepHooks` of kills/watch-process.ts says. Default: `module`. */
  readonly hooks?: string;
  /** What `openVictim` is given: JSON, and enough to work on the harness' host as `open()` does. */
  readonly options: object;
  /** More environment of the child process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** So many kills of real processes are tried in `npm test`. */
  readonly sampled: number;
  /** Where kills can be tried without a process for each. */
  readonly model?: VictimModel;
}

/** How lives are lived and killed in this process: see kills/in-process.ts. */
export interface VictimModel {
  /**
   * The part of a life whose every change to the host is made by `run` or by `node:fs/promises`. What else a backend does is
   * tried with real processes only.
   */
  readonly part: LifePart;
  /** As `open()` of the harness, with commands that are run by `run`. */
  open(run: RunCommand): Hypervisor;
  readonly run: RunCommand;
  /** Whether a command changes nothing, and so is no step. */
  onlyLooks(program: string, args: readonly string[]): boolean;
  /** Runs a command that dies in the middle. */
  cut(program: string, args: readonly string[]): Promise<unknown>;
  /** Where the host can be told: has the command of that step die halfway in real processes too; returns what withdraws that. */
  haltAt?(point: KillPoint): () => void;
  /** How many commands of that step's name have ended on the host; without it no command is waited for. */
  endedCommands?(step: string): number;
}

/** What a backend brings to be tested. */
export interface ContractHarness {
  /** A new backend object on the same host and data directory, as after the orchestrator was killed. Not prepared. */
  open(): Hypervisor;
  /** As {@link open}, for another installation on this host: what it has is not ours. Null where there can be none. */
  readonly openNeighbour: (() => Hypervisor) | null;
  /** What to make of a job. It is plain data, which JSON carries. */
  spec(guest: { jobId: string; attempt: number; behaviour: Behaviour }): GuestSpec;
  /** Where each guest has its directory; null for a backend in memory. */
  readonly guestsDir: string | null;
  /** Makes a guest of that name that belongs to someone else. */
  plantForeign(jobId: string): Promise<Foreign>;
  /** Ends a running guest as no one asked for: kills the process that runs it, or has its kernel panic. */
  crash(jobId: string): Promise<void>;
  /** Brings each failure about for real; those that cannot happen are left out, and named in the options. */
  readonly failures: Readonly<Partial<Record<HostFailure, (spec: GuestSpec) => Promise<BrokenHost>>>>;
  /** Null where a killed process leaves nothing. */
  readonly victim: Victim | null;
  /** What of the job is on the host, looked for without the backend: a word for each thing. */
  whatIsLeft(jobId: string): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** What is to be tested, and how. */
export interface ContractOptions {
  setUp(): Promise<ContractHarness>;
  /** A reason where this backend cannot be here. */
  readonly skip?: string | false;
  /** True for a backend that keeps guests in memory: they do not outlive it, leave nothing, and no one else has any. */
  readonly inMemory?: boolean;
  /** A sentence for each circumstance that this backend cannot be in. All others are brought about. */
  readonly cannotHappen?: Readonly<Partial<Record<Circumstance, string>>>;
}
