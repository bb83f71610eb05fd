import fc from "fast-check";
import type { ActiveState, JobState } from "../../job/job-state.ts";
import {
  type DirectoryEntry,
  type DomainEntry,
  emptyGuestInventory,
  type Inventories,
  type JobEntry,
} from "../inventories.ts";

const hostId = "here";
const now = 1_000_000;
const bound = 1000;
const files = ["overlay.qcow2", "seed.iso", "mac-address"];

/** Kinds of parts: `cases` builds the inventories of a part together with the leaks planted in it. */
type Case = "healthy" | keyof typeof cases;

/** One job of a host, or one thing without a job. Ids are unique. */
export interface Part {
  readonly case: Case;
  readonly jobId: string;
  /** For `healthy`. */
  readonly state?: ActiveState;
}

interface Piece {
  readonly inventories: Inventories;
  readonly leaks: readonly string[];
}

/** Inventories that hold only the given parts. */
export function inventoriesOf(part: Partial<Inventories>): Inventories {
  return {
    ...{ hostId, now, isDriven: false, guestInventory: emptyGuestInventory, temporary: [] },
    store: { jobs: new Map(), machines: [], ranHere: new Set() },
    ...part,
  };
}

const job = (id: string, change: Partial<JobEntry> = {}): JobEntry => ({
  ...{ id, state: "running", attempt: 1, hostId, hasMachine: true, ...change },
});
const domain = (jobId: string, change: Partial<DomainEntry> = {}): DomainEntry => ({
  ...{ name: `job-${jobId}`, jobId, attempt: 1, power: "running", needs: files.slice(0, 2), ...change },
});
const directory = (jobId: string, change: Partial<DirectoryEntry> = {}): DirectoryEntry => ({
  ...{ path: `/data/guests/job-${jobId}`, jobId, files, macAddress: `52:54:${jobId}`, ...change },
});

interface Holding {
  readonly job?: JobEntry;
  readonly domain?: DomainEntry;
  readonly directory?: DirectoryEntry;
  readonly machineAttempt?: number;
}

function holding(parts: Holding): Inventories {
  const jobId = parts.job?.id ?? "";
  return inventoriesOf({
    guestInventory: {
      ...emptyGuestInventory,
      domains: parts.domain ? [parts.domain] : [],
      directories: parts.directory ? [parts.directory] : [],
    },
    store: {
      jobs: new Map(parts.job ? [[jobId, parts.job]] : []),
      machines: parts.machineAttempt === undefined ? [] : [{ jobId, attempt: parts.machineAttempt }],
      ranHere: new Set(),
    },
  });
}

function guestOf(owner: JobEntry | undefined, id: string): Piece {
  const parts = {
    domain: domain(id),
    directory: directory(id),
    // A machine's record is removed with its job.
    ...(owner && { job: owner, machineAttempt: 1 }),
  };
  return { inventories: holding(parts), leaks: [`guest_without_job job-${id}`] };
}

const temporary = (id: string, change: { isHeld: boolean; modifiedAt: number }): Inventories =>
  inventoriesOf({ temporary: [{ path: `/data/${id}.tmp`, staleAfterMs: bound, what: "a file", ...change }] });

const cases = {
  "guest of no job": (id: string) => guestOf(undefined, id),
  "guest of an ended job": (id: string) => guestOf(job(id, { state: "succeeded" }), id),
  "guest of a waiting job": (id: string) => guestOf(job(id, { state: "queued" }), id),
  "guest of another host's job": (id: string) => guestOf(job(id, { hostId: "elsewhere", attempt: 2 }), id),
  "guest of another attempt": (id: string) => ({
    inventories: holding({
      job: job(id, { attempt: 2 }),
      domain: domain(id),
      directory: directory(id),
      machineAttempt: 2,
    }),
    leaks: [`guest_of_other_attempt job-${id}`],
  }),
  "files alone": (id: string) => ({
    inventories: holding({ directory: directory(id) }),
    leaks: [`files_without_guest /data/guests/job-${id}`],
  }),
  "files of a guest in the making": (id: string) => ({
    inventories: holding({
      job: job(id, { state: "provisioning" }),
      directory: directory(id, { files: ["overlay.qcow2.partial"] }),
      machineAttempt: 1,
    }),
    leaks: [],
  }),
  "guest without its disk": (id: string) => ({
    inventories: holding({
      job: job(id),
      domain: domain(id),
      directory: directory(id, { files: ["seed.iso", "mac-address"] }),
      machineAttempt: 1,
    }),
    leaks: [`domain_without_files job-${id}`],
  }),
  "machine of an ended job": (id: string) => ({
    inventories: holding({ job: job(id, { state: "failed" }), machineAttempt: 1 }),
    leaks: [`machine_without_guest job-${id}/1`],
  }),
  "machine of an earlier attempt": (id: string) => ({
    inventories: holding({ job: job(id, { attempt: 2, hostId: "elsewhere" }), machineAttempt: 1 }),
    leaks: [`machine_without_guest job-${id}/1`],
  }),
  "machine lost its guest": (id: string) => ({
    inventories: holding({ job: job(id), machineAttempt: 1 }),
    leaks: [`machine_without_guest job-${id}/1`],
  }),
  "job without its machine": (id: string) => ({
    inventories: holding({
      job: job(id, { hasMachine: false }),
      domain: domain(id),
      directory: directory(id),
    }),
    leaks: [`job_without_machine job-${id}/1`],
  }),
  "copy of a guest": (id: string) => ({
    inventories: inventoriesOf({
      guestInventory: {
        ...emptyGuestInventory,
        misnamed: [{ name: `copy-${id}`, jobId: id, command: "undefine it" }],
      },
    }),
    leaks: [`misnamed_guest copy-${id}`],
  }),
  lease: (id: string) => ({
    inventories: inventoriesOf({
      guestInventory: {
        ...emptyGuestInventory,
        leases: [{ macAddress: `52:55:${id}`, address: id, expiresAt: now + 1 }],
      },
    }),
    leaks: [`lease_without_guest ${id} (52:55:${id})`],
  }),
  interface: (id: string) => ({
    inventories: inventoriesOf({
      guestInventory: {
        ...emptyGuestInventory,
        interfaces: [{ name: `vnet-${id}`, macAddress: `52:55:${id}`, command: "show it" }],
      },
    }),
    leaks: [`interface_without_guest vnet-${id}`],
  }),
  "old temporary file": (id: string) => ({
    inventories: temporary(id, { isHeld: false, modifiedAt: now - bound }),
    leaks: [`stale_temporary_file /data/${id}.tmp`],
  }),
  "young temporary file": (id: string) => ({
    inventories: temporary(id, { isHeld: false, modifiedAt: now - bound + 1 }),
    leaks: [],
  }),
  "temporary file in use": (id: string) => ({
    inventories: temporary(id, { isHeld: true, modifiedAt: 0 }),
    leaks: [],
  }),
  "another's job": (id: string) => ({
    inventories: holding({ job: job(id, { hostId: "elsewhere" }) }),
    leaks: [],
  }),
} as const satisfies Record<string, (id: string) => Piece>;

function healthy({ jobId, state = "running" }: Part): Piece {
  const exists = state !== "provisioning" && state !== "finalizing";
  const present = exists && { domain: domain(jobId), directory: directory(jobId) };
  return { inventories: holding({ job: job(jobId, { state }), machineAttempt: 1, ...present }), leaks: [] };
}

function pieceOf(part: Part): Piece {
  return part.case === "healthy" ? healthy(part) : cases[part.case](part.jobId);
}

/** The inventories of a host with all these parts. */
export function buildInventories(host: readonly Part[]): Inventories {
  return host.map((part) => pieceOf(part).inventories).reduce(join, inventoriesOf({}));
}

/** The leaks planted in them, as `kind name`. */
export function planted(host: readonly Part[]): string[] {
  return host.flatMap((part) => pieceOf(part).leaks);
}

function join(one: Inventories, other: Inventories): Inventories {
  return {
    ...one,
    guestInventory: {
      domains: [...one.guestInventory.domains, ...other.guestInventory.domains],
      directories: [...one.guestInventory.directories, ...other.guestInventory.directories],
      misnamed: [...one.guestInventory.misnamed, ...other.guestInventory.misnamed],
      logs: [...one.guestInventory.logs, ...other.guestInventory.logs],
      leases: [...one.guestInventory.leases, ...other.guestInventory.leases],
      interfaces: [...one.guestInventory.interfaces, ...other.guestInventory.interfaces],
    },
    temporary: [...one.temporary, ...other.temporary],
    store: {
      jobs: new Map([...one.store.jobs, ...other.store.jobs]),
      machines: [...one.store.machines, ...other.store.machines],
      ranHere: new Set([...one.store.ranHere, ...other.store.ranHere]),
    },
  };
}

const states = ["provisioning", "booting", "running", "finalizing"] as const satisfies JobState[];

const arbitraryPart: fc.Arbitrary<Part> = fc.record({
  jobId: fc.stringMatching(/^[0-9a-z]{4,12}$/),
  case: fc.constantFrom("healthy", ...(Object.keys(cases) as Case[])),
  state: fc.constantFrom(...states),
});

/** A host of up to 30 parts. */
export const arbitraryHost: fc.Arbitrary<Part[]> = fc.uniqueArray(arbitraryPart, {
  maxLength: 30,
  selector: ({ jobId }) => jobId,
});
