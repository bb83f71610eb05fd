import type { ErrorCode } from "../../../src/core/errors.ts";
import type { RunCommand } from "../../../src/host/command.ts";
import type { GuestSpec, Hypervisor } from "../../../src/hypervisor/hypervisor.ts";
import type { LifePart } from "./kills/live.ts";
import type { KillPoint } from "./kills/steps.ts";

/**
 * The behaviour of a test guest. `obedient`: prints "guest is up", runs until its power button is pressed, and echoes
 * what is typed on its line for shells. `deaf`: the same, but prints "power button ignored" when the power button is
 * pressed. `brief`: prints "guest is up" and ends by itself.
 */
export type Behaviour = "obedient" | "deaf" | "brief";

/** A guest that belongs to someone else, under the name of one of ours. */
export interface Foreign {
  intact(): Promise<boolean>;
  remove(): Promise<void>;
}

/** The failures of a host, with the reason that each backend must give. */
export const hostFailures = {
  "the hypervisor is gone": "hypervisor_unavailable",
  "a tool is missing": "host_missing_tool",
  "the disk is full": "disk_full",
  "the network is missing": "network_missing",
  "the image's file is gone": "image_unavailable",
} as const satisfies Record<string, ErrorCode>;

/** One of {@link hostFailures}. */
export type HostFailure = keyof typeof hostFailures;

/** A host with one failure. */
export interface BrokenHost {
  /** Does an operation that cannot work there, and rejects. Called once. */
  fail(): Promise<unknown>;
  /** Repairs the host, and closes everything that was opened for the failure. */
  repair(): Promise<void>;
}

/**
 * Circumstances that some backends cannot have, and all others are tested for: see {@link
 * ContractOptions.cannotHappen}.
 */
export type Circumstance = HostFailure | "others have guests here" | "the process is killed";

/** The settings for kills of processes that use a backend. */
export interface Victim {
  /**
   * The URL of a module that exports `openVictim(options): Hypervisor`; usually the harness' own, `import.meta.url`.
   */
  readonly module: string;
  /** The URL of a module that exports the `StepHooks` of kills/watch-process.ts. Default: `module`. */
  readonly hooks?: string;
  /** The argument of `openVictim`: JSON that is sufficient to work on the harness' host like `open()`. */
  readonly options: object;
  /** Additional environment of the child process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Number of kills of real processes in `npm test`. */
  readonly sampled: number;
  /** The model of kills, where kills can be tested without a process for each. */
  readonly model?: VictimModel;
}

/** The settings for lives that are killed within this process: see kills/in-process.ts. */
export interface VictimModel {
  /**
   * The part of a life in which `run` or `node:fs/promises` makes every change to the host. The rest is tested with
   * real processes only.
   */
  readonly part: LifePart;
  /** Like `open()` of the harness, with commands that `run` executes. */
  open(run: RunCommand): Hypervisor;
  readonly run: RunCommand;
  /** True when a command changes nothing, and so is not a step. */
  onlyLooks(program: string, args: readonly string[]): boolean;
  /** Runs a command that is killed in the middle. */
  cut(program: string, args: readonly string[]): Promise<unknown>;
  /**
   * On a host with this ability: makes the command of that step die halfway in real processes too; returns a function
   * that cancels this.
   */
  haltAt?(point: KillPoint): () => void;
  /**
   * Number of commands of that step's name that have ended on the host; without this function, no command is waited
   * for.
   */
  endedCommands?(step: string): number;
}

/** A test harness for one backend. */
export interface ContractHarness {
  /** A new backend object on the same host and data directory, as after the orchestrator was killed. Not prepared. */
  open(): Hypervisor;
  /**
   * Like {@link open}, for another installation on this host, whose guests are not ours. Null where there can be no
   * other.
   */
  readonly openNeighbour: (() => Hypervisor) | null;
  /** The spec of a job's guest: plain data that can be sent as JSON. */
  spec(guest: { jobId: string; attempt: number; behaviour: Behaviour }): GuestSpec;
  /** The directory that contains one directory for each guest; null for a backend in memory. */
  readonly guestsDir: string | null;
  /** Makes a guest of that name that belongs to someone else. */
  plantForeign(jobId: string): Promise<Foreign>;
  /** Ends a running guest without a request: kills the process that runs it, or makes its kernel panic. */
  crash(jobId: string): Promise<void>;
  /** Functions that cause each failure for real; failures that cannot happen are left out, and named in the options. */
  readonly failures: Readonly<Partial<Record<HostFailure, (spec: GuestSpec) => Promise<BrokenHost>>>>;
  /** Null when a killed process leaves nothing. */
  readonly victim: Victim | null;
  /** The remains of the job on the host, found without the backend: a word for each. */
  whatIsLeft(jobId: string): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** The settings of the suite for one backend. */
export interface ContractOptions {
  setUp(): Promise<ContractHarness>;
  /** The reason when this backend cannot run here. */
  readonly skip?: string | false;
  /**
   * True for a backend that keeps guests in memory: they end with the backend, leave nothing, and other installations
   * have none.
   */
  readonly inMemory?: boolean;
  /** The reason, in a sentence, for each circumstance that this backend cannot have. All others are tested. */
  readonly cannotHappen?: Readonly<Partial<Record<Circumstance, string>>>;
}
