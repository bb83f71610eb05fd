import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import type { RunCommand } from "../../src/host/command.ts";
import { createDispatch, type LoggedCommand } from "./dispatch.ts";
import type { Context } from "./host/context.ts";
import { addFault, type FaultEffect, type FaultMatch, removeFaults } from "./host/faults.ts";
import { killProcess, waitForEnd } from "./host/processes.ts";
import { change, exclusively, openState, saveSetting } from "./host/state.ts";
import { allLinks, type Link } from "./network/links.ts";
import { runnerOf } from "./run.ts";
import { serveCommands } from "./server.ts";
import { allDatasets, type Dataset, insertDataset, volumeFile } from "./zfs/datasets.ts";
import { allZones, liveZones, stateOf, type Zone, type ZoneState } from "./zones/records.ts";
import { tearDownEnded } from "./zones/teardown.ts";

export type { FaultEffect, FaultMatch } from "./host/faults.ts";

const defaultPoolBytes = 64 * 1024 ** 3;
const endDeadlineMs = 30_000;

/** Settings of a stand-in. */
export interface BuiltInRunnerOptions {
  /** Bytes of the pool `rpool`; default 64 GiB. */
  readonly poolBytes?: number;
  /** Time limit of `zoneadm shutdown` for the guest; default 60 s. */
  readonly shutdownSeconds?: number;
  /** The bus of `cdrom`: `ahci` like bhyve, or `virtio`, for guests without a driver for it; default `virtio`. */
  readonly cdromBus?: "ahci" | "virtio";
  /** The kind of guests that start; default `qemu`. */
  readonly guests?: GuestKind;
}

/**
 * QEMU; or a process that behaves as its seed defines, and runs the runner when the seed contains it
 * (zones/scripted-guest.ts).
 */
export type GuestKind = "qemu" | "scripted";

/** A registered fault. */
export interface Fault {
  /** Removes the fault; commands that hang continue. */
  release(): void;
}

/**
 * A stand-in for an illumos host: its commands run in this process and from a PATH; its files are in a directory, its
 * guests are processes.
 */
export interface StandIn {
  readonly directory: string;
  /** Runs a command of the stand-in in this process, and any other program as `runCommand` does. */
  readonly run: RunCommand;
  /** The environment in which another process can run the commands: PATH, with them first, and SOLSTICE_STAND_IN. */
  readonly environment: { readonly PATH: string; readonly SOLSTICE_STAND_IN: string };
  /** Makes matching commands fail, wait, hang or die. */
  fault(match: FaultMatch, effect: FaultEffect): Fault;
  /** Makes the n-th matching command fail with a text on stderr. */
  fail(match: FaultMatch & { readonly stderr: string; readonly exitCode?: number }): Fault;
  /** Makes matching commands slow. */
  delay(match: FaultMatch & { readonly ms: number }): Fault;
  /** The commands that have ended so far, in the order of their ends. */
  commands(): LoggedCommand[];
  zones(): (Zone & { readonly state: ZoneState })[];
  datasets(): Dataset[];
  links(): Link[];
  /** The file that holds a volume's bytes. */
  volumeFile(name: string): string;
  /** The process of a zone's guest; null when it is not running. */
  guestPid(zone: string): number | null;
  /** Changes the kind of guests that start from now on. */
  setGuests(kind: GuestKind): void;
  /** Changes the size of the pool. */
  setPoolBytes(bytes: number): void;
  /** Simulates a power failure and a boot of the host: guests, temporary links and addresses are gone. */
  rebootHost(): Promise<void>;
  /** Ends the guests and removes the directory. */
  close(): Promise<void>;
}

/** Starts a stand-in in a new directory with a short path, /tmp/si-XXXXXX, so that sockets below it are possible. */
export async function openStandIn(options: BuiltInRunnerOptions = {}): Promise<StandIn> {
  const directory = mkdtempSync("/tmp/si-");
  for (const part of ["zvols", "q", "rpool"]) mkdirSync(join(directory, part), { mode: 0o755 });
  const database = openState();
  const { signal } = new AbortController();
  const context: Context = { directory, database, signal, out: () => {}, err: () => {}, halfway: () => {} };
  prepare(context, options);
  const log: LoggedCommand[] = [];
  const dispatch = createDispatch(context, log);
  const server = await serveCommands(directory, dispatch);
  const path = `${join(import.meta.dirname, "bin")}:${process.env.PATH ?? ""}`;
  return {
    directory,
    run: runnerOf(dispatch),
    environment: { PATH: path, SOLSTICE_STAND_IN: directory },
    ...faultOrders(database),
    commands: () => [...log],
    zones: () => allZones(context).map((zone) => ({ ...zone, state: stateOf(zone) })),
    datasets: () => allDatasets(context),
    links: () => allLinks(context),
    volumeFile: (name) => volumeFile(context, name),
    guestPid: (name) => liveZones(context).find((zone) => zone.name === name)?.pid ?? null,
    setGuests: (kind) => saveSetting(database, "guests", kind),
    setPoolBytes: (bytes) => saveSetting(database, "pool:rpool", String(bytes)),
    rebootHost: () => rebootHost(context),
    async close() {
      await endGuests(context);
      server.close();
      database.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function prepare(context: Context, options: BuiltInRunnerOptions): void {
  const { database } = context;
  saveSetting(database, "pool:rpool", String(options.poolBytes ?? defaultPoolBytes));
  saveSetting(database, "cdromBus", options.cdromBus ?? "virtio");
  saveSetting(database, "guests", options.guests ?? "qemu");
  if (options.shutdownSeconds) saveSetting(database, "shutdownSeconds", String(options.shutdownSeconds));
  insertDataset(context, {
    name: "rpool",
    type: "filesystem",
    origin: null,
    volsize: null,
    volblocksize: null,
    reserved: 0,
  });
  change(
    database,
    "INSERT INTO links (name, class, mac, temporary) VALUES ('igb0', 'phys', '0c:c4:7a:00:00:01', 0)",
  );
}

function faultOrders(database: DatabaseSync): Pick<StandIn, "fault" | "fail" | "delay"> {
  const fault = (match: FaultMatch, effect: FaultEffect): Fault => {
    const id = addFault(database, match, effect);
    return { release: () => removeFaults(database, id) };
  };
  return {
    fault,
    fail: ({ stderr, exitCode = 1, ...match }) => fault(match, { kind: "fail", stderr, exitCode }),
    delay: ({ ms, ...match }) => fault(match, { kind: "delay", ms }),
  };
}

async function endGuests(context: Context): Promise<void> {
  for (const { pid, started } of liveZones(context)) {
    if (pid === null || started === null) continue;
    killProcess({ pid, started });
    await waitForEnd({ pid, started }, endDeadlineMs);
  }
  tearDownEnded(context);
}

async function rebootHost(context: Context): Promise<void> {
  await endGuests(context);
  const { database } = context;
  exclusively(database, () => {
    change(database, "DELETE FROM addresses WHERE temporary = 1");
    change(database, "DELETE FROM interfaces WHERE temporary = 1");
    change(database, "DELETE FROM link_properties WHERE temporary = 1");
    change(
      database,
      "DELETE FROM link_properties WHERE link IN (SELECT name FROM links WHERE temporary = 1)",
    );
    change(database, "DELETE FROM links WHERE temporary = 1");
    change(database, "DELETE FROM locks");
  });
}
