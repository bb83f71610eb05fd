import { rmSync } from "node:fs";
import { join } from "node:path";
import { type ApiServer, startRunnerServer, startUserServer } from "../../api/server.ts";
import type { CacheContext } from "../../attempts/caches/cache-context.ts";
import type { AttemptMasks } from "../../attempts/output/attempt-masks.ts";
import type { Transfers } from "../../attempts/transfers/transfers.ts";
import { orchestratorNoteName } from "../../config/load-client-config.ts";
import type { ListenAddress, OrchestratorConfig } from "../../config/orchestrator-config.ts";
import type { Job } from "../../core/job/job.ts";
import { artifactsOf } from "../../core/request/artifacts.ts";
import { cachesOf, hasAlwaysSteps, stepsOf } from "../../core/request/job-request.ts";
import type { Secret } from "../../core/secrets/secret.ts";
import type { JobSecrets } from "../../core/secrets/secrets-of-job.ts";
import { buildPlan, type PlanCheckout } from "../../guest/seed/plan.ts";
import { replaceFile } from "../../host/files/replace-file.ts";
import type { Hypervisor } from "../../hypervisor/hypervisor.ts";
import type { Store } from "../../store/store.ts";
import type { Admission } from "../accept/admission.ts";
import { reportLeaks } from "../audit/leak-report.ts";
import type { Context, Log } from "../context.ts";
import type { Lease } from "../hosts/lease-loop.ts";
import type { LastRun } from "../last-run.ts";
import type { RepositoryReach } from "../reach/repository-reach.ts";
import type { SecretFiles } from "../secrets/secret-files.ts";
import type { GuestShells } from "../shells/guest-shells.ts";
import { type DrainParts, drainView } from "./drain-view.ts";
import { explainView } from "./explain-view.ts";
import { createHostDescription } from "./host-description.ts";
import { createOrchestratorMetrics } from "./metrics.ts";
import { createQueueCounts } from "./queue-counts.ts";
import { readiness } from "./readiness.ts";
import { capacityView } from "./views.ts";

/** The default port of the server for guests. */
const defaultRunnerPort = 7411;

/**
 * Interval of a runner's heartbeats, in seconds. The runner sends two in that time, and each answer reports a
 * cancel: during a silent step after 3 s at most. A heartbeat costs the guest some forks and the store one
 * write.
 */
const heartbeatSeconds = 6;

/**
 * Time in addition to the job's timeout for which a runner retries its deliveries while the orchestrator does
 * not answer, in seconds.
 */
const runnerDeadlineMarginSeconds = 300;

/** The dependencies of the runner's server, which starts before the rest of the orchestrator. */
export interface RunnerServerParts {
  readonly config: OrchestratorConfig;
  readonly store: Store;
  readonly hypervisor: Hypervisor;
  readonly transfers: Transfers;
  readonly caches: CacheContext;
  readonly log: Log;
  readonly secrets: SecretFiles;
  readonly masks: AttemptMasks;
  readonly shells: GuestShells;
  readonly reach: Pick<RepositoryReach, "lastAnswer">;
  readonly lastRun: LastRun | null;
}

/** Starts the server that guests call. It starts before any guest, and stops after the last. */
export async function startRunnerEndpoint(parts: RunnerServerParts): Promise<ApiServer> {
  const { config, store, hypervisor, transfers, caches, log, secrets, masks, shells, reach } = parts;
  const listen: ListenAddress = config.runnerListen ?? {
    host: await hypervisor.runnerHost(),
    port: defaultRunnerPort,
  };
  return startRunnerServer({
    // Guests of the last run call its port: if the kernel chose that port, this run uses it again.
    listen: { ...listen, preferredPort: parts.lastRun?.runnerPort },
    store,
    log,
    now: Date.now,
    buildPlan: (job) => {
      const decided = secrets.decide(job.request);
      const plan = planOf(job, { config, secrets: decided, closedWay: reach.lastAnswer(job) });
      return { plan, masked: decided.masked };
    },
    masks,
    transfers,
    caches,
    logLimitBytes: config.logLimitBytes,
    holdPolicy: { maxHolds: config.maxHolds, holdLimitSeconds: config.holdLimitSeconds },
    shells,
    heartbeatSeconds: Math.max(1, Math.min(heartbeatSeconds, Math.floor(config.silenceTimeoutSeconds / 4))),
    // Guests of the noop backend all call from one address.
    ...(hypervisor.backend === "noop" && { limits: { maxConnectionsPerAddress: 256 } }),
  });
}

/** Builds the plan for each `Start`: its secrets are never stored. */
function planOf(
  job: Job,
  known: {
    readonly config: OrchestratorConfig;
    readonly secrets: JobSecrets;
    readonly closedWay: string | null;
  },
): string {
  const { id, attempt, request, timeoutSeconds } = job;
  const { config, secrets, closedWay } = known;
  const { given, checkout, notes } = secrets;
  const cleanupSeconds = hasAlwaysSteps(request) ? config.cleanupTimeoutSeconds : 0;
  return buildPlan({
    jobId: id,
    attempt,
    repoUrl: request.repo_url ?? null,
    commitSha: request.commit_sha ?? null,
    ref: request.ref ?? null,
    env: request.env,
    secrets: given.map(({ name, value }) => ({ name, value: value.reveal() })),
    checkout: checkout && planCheckout(checkout),
    closedWay,
    notes,
    steps: stepsOf(request).map(({ timeout_seconds, ...step }) => ({
      ...step,
      timeoutSeconds: timeout_seconds,
    })),
    artifacts: artifactsOf(request),
    caches: cachesOf(request),
    cleanupSeconds,
    deadlineSeconds: timeoutSeconds + cleanupSeconds + runnerDeadlineMarginSeconds,
  });
}

function planCheckout({ value, checkout }: Secret): PlanCheckout {
  const username = checkout?.kind === "password" ? checkout.username : "";
  return { kind: checkout?.kind ?? "password", username, secret: value.reveal() };
}

/** Starts the server that people call. */
export function startUserEndpoint(
  context: Context,
  parts: DrainParts & { readonly admission: Admission; readonly lease: Pick<Lease, "problem"> },
): Promise<ApiServer> {
  const { admission, lease } = parts;
  const countQueued = createQueueCounts(context.store);
  return startUserServer({
    listen: context.config.apiListen,
    token: () => context.config.apiToken,
    store: context.store,
    log: context.log,
    now: Date.now,
    hostId: context.identity.hostId,
    shells: context.shells,
    accept: (input) => admission.accept(input),
    retry: (job, requestId) => admission.retry(job, requestId),
    artifacts: { blobs: context.blobs, hostId: context.identity.hostId },
    capacity: () => capacityView(context, countQueued),
    describeHost: createHostDescription(context),
    explain: (job) => explainView(context, job),
    drain: (action) => drainView(context, action, parts),
    caches: context.caches,
    findLeaks: (options) => reportLeaks(context, options),
    readiness: () => readiness(context, lease.problem()),
    metrics: createOrchestratorMetrics(context, countQueued),
  });
}

/** The URLs of an orchestrator, for commands on its host. */
export interface OrchestratorUrls {
  readonly apiUrl: string;
  readonly runnerUrl: string;
  /** A command refuses answers of another host at these addresses. */
  readonly hostId: string;
}

/** Writes the URLs for commands on this host. Written last, so that a reader can call the API at once. */
export function writeNote(dataDir: string, urls: OrchestratorUrls): void {
  replaceFile(
    join(dataDir, orchestratorNoteName),
    `${JSON.stringify({ pid: process.pid, ...urls })}\n`,
    0o644,
  );
}

/** Removes the file of {@link writeNote}. */
export function removeNote(dataDir: string): void {
  rmSync(join(dataDir, orchestratorNoteName), { force: true });
}
