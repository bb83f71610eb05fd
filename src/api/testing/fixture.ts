import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { hashToken } from "../../access/bearer.ts";
import { AttemptMasks } from "../../attempts/output/attempt-masks.ts";
import { createTestCaches } from "../../attempts/testing/caches.ts";
import { openTestTransfers } from "../../attempts/testing/transfers.ts";
import { SolsticeError } from "../../core/errors.ts";
import type { Job } from "../../core/job/job.ts";
import { verdict } from "../../core/job/verdict.ts";
import type { Log } from "../../core/log.ts";
import { parseJobRequest } from "../../core/request/job-request.ts";
import { createMetrics } from "../../http/metrics.ts";
import { applyEvent, claimJob, getJob, insertJob } from "../../store/jobs/jobs.ts";
import { setMachineState } from "../../store/jobs/machines.ts";
import { openSqliteStore, type Store } from "../../store/store.ts";
import type { Shells } from "../job-shell.ts";
import {
  type ApiServer,
  type RunnerServerOptions,
  startRunnerServer,
  startUserServer,
  type UserServerOptions,
} from "../server.ts";

/** A log that keeps its lines, so that a test can search them. */
export class MemoryLog implements Log {
  readonly lines: { level: string; fields: object; message: string }[] = [];
  debug = (fields: object, message: string) => this.#add("debug", fields, message);
  info = (fields: object, message: string) => this.#add("info", fields, message);
  warn = (fields: object, message: string) => this.#add("warn", fields, message);
  error = (fields: object, message: string) => this.#add("error", fields, message);

  #add(level: string, fields: object, message: string): void {
    this.lines.push({ level, fields, message });
  }
}

/** A real store in its own directory, which is removed after the test. */
export async function openTestStore(t: TestContext): Promise<Store> {
  const directory = await mkdtemp(join(tmpdir(), "solstice-api-"));
  const store = await openSqliteStore({ path: join(directory, "solstice.db") });
  t.after(async () => {
    await store.close();
    await rm(directory, { recursive: true, force: true });
  });
  return store;
}

let jobsMade = 0;

/** Puts a job into the store, as intake does. */
export async function insertTestJob(
  store: Store,
  input: { id?: string; request?: object; retryOf?: string } = {},
): Promise<Job> {
  jobsMade += 1;
  const request = parseJobRequest({ request_id: randomUUID(), script: "true", ...input.request });
  const { job } = await insertJob(store, {
    id: input.id ?? `j${String(jobsMade).padStart(9, "0")}`,
    request,
    label: "debian",
    image: "debian-12",
    size: { cpu: 1, ramMb: 512, diskGb: 4 },
    fairKey: "test",
    priority: 0,
    timeoutSeconds: 600,
    maxAttempts: 2,
    submittedAt: 1000 + jobsMade,
    retryOf: input.retryOf ?? null,
  });
  return job;
}

/** The tokens of one attempt. Its job is in the state in which the guest starts. */
export interface BootedJob {
  readonly jobId: string;
  readonly attempt: number;
  readonly bootstrapToken: string;
  readonly sessionToken: string;
}

/** Claims the job and boots its guest, as the orchestrator does; the runner has not called yet. */
export async function bootJob(
  store: Store,
  jobId: string,
  stepNames: readonly string[] = ["checkout", "test"],
): Promise<BootedJob> {
  const bootstrapToken = `bootstrap-${randomUUID()}`;
  const claimed = await claimJob(store, {
    jobId,
    hostId: "host-1",
    at: 2000,
    backend: "noop",
    prepare: () => ({ bootstrapTokenHash: hashToken(bootstrapToken), stepNames }),
  });
  if (claimed === null) throw new Error(`job ${jobId} could not be claimed`);
  const { attempt } = claimed;
  await setMachineState(store, { jobId, attempt, state: "running", at: 2001 });
  await applyEvent(store, { jobId, attempt, event: "boot", at: 2002 });
  return { jobId, attempt, bootstrapToken, sessionToken: `session-${randomUUID()}` };
}

/** Ends an attempt as the orchestrator does: its machine is removed and the job is final, or queued again. */
export async function endAttempt(
  store: Store,
  { jobId, attempt }: BootedJob,
  event: "settle_succeeded" | "requeue",
): Promise<void> {
  const ended =
    event === "requeue"
      ? verdict("guest_lost", "The guest is lost.")
      : verdict("completed", "All is well.", 0);
  await applyEvent(store, { jobId, attempt, event: "conclude", at: 3000, verdict: ended });
  await setMachineState(store, { jobId, attempt, state: "gone", at: 3001 });
  await applyEvent(store, { jobId, attempt, event, at: 3002 });
}

/** The shells of a host without guests. */
export const noShells: Shells = {
  orderFor: () => "",
  open: () => Promise.reject(new SolsticeError("hypervisor_failed", "There are no guests in this test.")),
};

/** Maximum time that a server's close waits for calls that a test left open, in ms. */
const leftOpenMs = 100;

/** A runner endpoint on a free port, closed with the test. */
export async function startTestRunnerServer(
  t: TestContext,
  options: Partial<RunnerServerOptions> & Pick<RunnerServerOptions, "store">,
): Promise<ApiServer> {
  const server = await startRunnerServer({
    listen: { host: "127.0.0.1", port: 0 },
    log: new MemoryLog(),
    now: Date.now,
    buildPlan: (job) => ({ plan: `JOB_ID=${job.id}\n`, masked: [] }),
    masks: new AttemptMasks(() => []),
    logLimitBytes: 1024 * 1024 * 1024,
    heartbeatSeconds: 10,
    caches: options.caches ?? createTestCaches(options.store),
    transfers: options.transfers ?? (await openTestTransfers(t, options.store)),
    holdPolicy: { maxHolds: 1, holdLimitSeconds: 3600 },
    shells: noShells,
    closeGraceMs: leftOpenMs,
    ...options,
  });
  t.after(() => server.close());
  return server;
}

/** A user endpoint on a free port, closed with the test. */
export async function startTestUserServer(
  t: TestContext,
  options: Partial<UserServerOptions> & Pick<UserServerOptions, "store">,
): Promise<ApiServer> {
  const { store } = options;
  const server = await startUserServer({
    listen: { host: "127.0.0.1", port: 0 },
    token: () => null,
    log: new MemoryLog(),
    now: Date.now,
    accept: async (input) => {
      parseJobRequest(input);
      return { job: await insertTestJob(store, { request: input as object }), existed: false };
    },
    retry: async (job, requestId) => ({
      job: await insertTestJob(store, {
        request: { request_id: requestId, script: "true" },
        retryOf: job.id,
      }),
      existed: false,
    }),
    artifacts: options.artifacts ?? {
      blobs: (await openTestTransfers(t, store)).blobs,
      hostId: "host-1",
    },
    capacity: async () => ({ maxConcurrency: 2, running: 1 }),
    describeHost: async () => ({ hostId: "host" }),
    explain: async (job) => ({ constraint: "not_waiting", message: `Job ${job.id} does not wait.` }),
    drain: async () => ({ hostId: "host-1" }),
    findLeaks: async () => ({ leaks: [], inventories: [] }),
    caches: createTestCaches(store),
    hostId: "host",
    shells: noShells,
    readiness: async () => [{ name: "store", ok: true, message: "" }],
    metrics: createMetrics().registry,
    closeGraceMs: leftOpenMs,
    ...options,
  });
  t.after(() => server.close());
  return server;
}

/** The current state of a job, which must exist. */
export async function readJob(store: Store, jobId: string): Promise<Job> {
  const job = await getJob(store, jobId);
  if (job === null) throw new Error(`there is no job ${jobId}`);
  return job;
}

/** Makes one Connect call as curl does: plain JSON over HTTP/1.1. */
export async function postJson(
  url: string,
  options: { body: unknown; token?: string | undefined; headers?: Record<string, string> },
): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }> {
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
      ...options.headers,
    },
    body: typeof options.body === "string" ? options.body : JSON.stringify(options.body),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? {} : JSON.parse(text), headers: response.headers };
}
