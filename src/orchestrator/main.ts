import { join } from "node:path";
import { AttemptMasks } from "../attempts/output/attempt-masks.ts";
import { openBlobStore } from "../blobs/open-blob-store.ts";
import type { OrchestratorConfig } from "../config/orchestrator-config.ts";
import type { ConfigSource } from "../config/reload/config-source.ts";
import type { LifecycleLimits } from "../core/job/lifecycle.ts";
import { writeSeed } from "../guest/seed/seed-image.ts";
import { probeKvm } from "../host/kvm/kvm.ts";
import { acquireProcessLock } from "../host/process-lock.ts";
import { createHypervisor } from "../hypervisor/router.ts";
import { openImageStore } from "../images/image-store.ts";
import { createAdmission } from "./accept/admission.ts";
import { audit } from "./audit/audit.ts";
import { startAuditLoop } from "./audit/audit-loop.ts";
import { createAuditState } from "./audit/audit-state.ts";
import type { Context, Log } from "./context.ts";
import { openDataDirectory } from "./data-directory.ts";
import { startLifecycle } from "./drive/lifecycle-loop.ts";
import { openDrainRecord } from "./hosts/drain-record.ts";
import { imagesOfHost } from "./hosts/images-of-host.ts";
import { startLease } from "./hosts/lease-loop.ts";
import { loadIdentity } from "./identity.ts";
import { createKeyedLock } from "./keyed-lock.ts";
import { type LastRun, noteLastRun, readLastRun } from "./last-run.ts";
import { createLogger } from "./logger.ts";
import { startMessageLoops } from "./messages/message-loops.ts";
import { openMessaging } from "./messages/messaging.ts";
import { openStore } from "./open-store.ts";
import { goDown } from "./process/go-down.ts";
import { createLiveConfig } from "./process/live-config.ts";
import { catchReloads } from "./process/reload.ts";
import { reportAdopted } from "./process/report-adopted.ts";
import { createServiceManager } from "./process/service-manager.ts";
import { endAtEarlyRestart, untilSignalled } from "./process/shutdown.ts";
import { endAtUnexpectedError } from "./process/unexpected-error.ts";
import { createRepositoryReach } from "./reach/repository-reach.ts";
import { startScheduleLoop } from "./schedule/schedule-loop.ts";
import { createSecretFiles } from "./secrets/secret-files.ts";
import { openTransfers } from "./serve/open-transfers.ts";
import { removeNote, startRunnerEndpoint, startUserEndpoint, writeNote } from "./serve/servers.ts";
import { createGuestShells } from "./shells/guest-shells.ts";
import { startCacheLoop } from "./upkeep/cache-loop.ts";
import { startDiskGuard } from "./upkeep/disk-guard.ts";
import { startFileLoop } from "./upkeep/file-loop.ts";
import { startFirewallLoop } from "./upkeep/firewall-loop.ts";
import { createHostCaches } from "./upkeep/host-caches.ts";
import { startRetentionLoop } from "./upkeep/retention-loop.ts";
import { createRetentionState } from "./upkeep/retention-state.ts";

/** The preparation of images ends only when they are closed. */
const neverAborted = new AbortController().signal;

/**
 * Maximum time for a stopped runner to receive the stop (half a heartbeat), end its step (5 s from TERM to
 * KILL) and send its last output; and for a finished guest to power itself off, in ms.
 */
const flushGraceMs = 20_000;
const powerOffGraceMs = 10_000;

/**
 * Maximum interval between two observations of a guest, in ms: events arrive at once, this covers lost
 * events.
 */
const guestPollMs = 10_000;

/**
 * Runs an orchestrator until a signal stops it; SIGHUP reloads the configuration of `source`. Returns the
 * exit code of the process; throws a `SolsticeError` when it cannot start.
 */
export async function runOrchestrator(
  initial: OrchestratorConfig,
  source: Pick<ConfigSource, "reload" | "warnings">,
): Promise<number> {
  // Independent of the umask of the parent shell or service manager: files get exactly the modes below.
  process.umask(0o022);
  endAtEarlyRestart();
  const reloads = catchReloads();
  const live = createLiveConfig(initial);
  const { config } = live;
  const log = await createLogger(config.logLevel);
  for (const warning of source.warnings()) log.warn({}, warning);
  await using closing = new AsyncDisposableStack();
  closing.defer(endAtUnexpectedError(log));
  const serviceManager = createServiceManager({ isWaiting: config.hasNotifySocket, log });
  const lastRun = readLastRun(config.dataDir);
  const context = await openContext(config, { log, closing, lastRun });
  const lease = await startLease(context);
  closing.defer(() => lease.stop());

  // The remains of an earlier process are repaired before new work begins.
  await audit(context, { fix: true });
  await reportAdopted(context, lastRun);
  const lifecycle = startLifecycle(context);
  closing.defer(() => lifecycle.stop());
  const scheduler = startScheduleLoop(context);
  closing.defer(() => scheduler.stop());
  const auditor = startAuditLoop(context);
  closing.defer(() => auditor.stop());
  const firewallLoop = startFirewallLoop(context);
  closing.defer(() => firewallLoop.stop());
  const cleaner = startRetentionLoop(context);
  closing.defer(() => cleaner.stop());
  const fileLoop = startFileLoop(context);
  closing.defer(() => fileLoop.stop());
  const cacheLoop = startCacheLoop(context);
  closing.defer(() => cacheLoop.stop());
  const admission = createAdmission(context);
  const userServer = await startUserEndpoint(context, { admission, lease, scheduler });
  closing.defer(() => userServer.close());
  lease.publishApiUrl(userServer.url);
  const { runnerUrl, identity } = context;
  writeNote(config.dataDir, { apiUrl: userServer.url, runnerUrl, hostId: identity.hostId });
  closing.defer(() => removeNote(config.dataDir));
  const messages = startMessageLoops(context, admission);
  closing.defer(() => messages.close());
  const signalled = untilSignalled(context, lifecycle);
  log.info(readyFacts(context, userServer.url), "ready");
  await serviceManager.ready(`Serving on ${userServer.url}`);
  if (context.drainRecord.since() !== null)
    log.warn({}, "this host is drained and starts no jobs; to resume: solstice drain --end");
  reloads.start(context, { live, source, serviceManager });
  closing.defer(() => reloads.stop());

  const { phase } = await signalled;
  const notified = serviceManager.stopping(
    phase === "restarting" ? "Restarting; guests keep running" : "Draining",
  );
  closing.defer(() => notified);
  // Awaited here, because `closing` must close its resources only after that.
  return await goDown(context, { lifecycle, lease, messages, scheduler, firewallLoop });
}

/**
 * Opens everything that the loops share, in the order of dependency. Everything is closed in reverse order,
 * also after an error.
 */
async function openContext(
  config: OrchestratorConfig,
  parts: { log: Log; closing: AsyncDisposableStack; lastRun: LastRun | null },
): Promise<Context> {
  const { log, closing, lastRun } = parts;
  openDataDirectory(config.dataDir);
  const lock = acquireProcessLock(join(config.dataDir, "orchestrator.lock"), "an orchestrator");
  closing.defer(() => lock.release());
  const identity = loadIdentity(config.dataDir);
  const store = await openStore(config, log);
  closing.defer(() => store.close());
  const messaging = openMessaging(config, log);
  closing.defer(() => messaging?.broker.close());
  const hypervisor = await createHypervisor({ config, ownerId: identity.hostId, log, writeSeed, probeKvm });
  closing.defer(() => hypervisor.close());
  await hypervisor.prepare();
  const imageMap = imagesOfHost(config.imageMap, hypervisor.backend, log);
  const images = openImageStore({ imageMap, dataDir: config.dataDir, log });
  closing.defer(() => images.close());
  if (hypervisor.backend !== "noop") await images.start(neverAborted);
  const secrets = createSecretFiles(config.secrets, log);
  const masks = new AttemptMasks((job) => secrets.decide(job.request).masked);
  const dataset = hypervisor.backend === "zones" ? config.zones.pool : null;
  const diskGuard = await startDiskGuard({ config, dataset, store, log, closing });
  const blobs = await openBlobStore(config);
  closing.defer(() => blobs.close());
  const caches = createHostCaches({ config, store, blobs, hostId: identity.hostId, log });
  const transfers = openTransfers({ config, identity, store, blobs, caches, diskGuard, log });
  const shells = createGuestShells({ store, hypervisor, log });
  closing.defer(() => shells.close());
  const reach = createRepositoryReach({ config, hypervisor, log });
  const runnerServer = await startRunnerEndpoint({
    config,
    store,
    hypervisor,
    transfers,
    caches,
    log,
    secrets,
    masks,
    shells,
    reach,
    lastRun,
  });
  closing.defer(() => runnerServer.close());
  // Recorded before the first guest, with the port that the kernel may have chosen.
  const runnerUrl = config.runnerUrl ?? runnerServer.url;
  noteLastRun(config, { backend: hypervisor.backend, runnerPort: runnerServer.port, runnerUrl });
  await hypervisor.ensureFirewall(runnerUrl);
  return {
    config,
    identity,
    store,
    hypervisor,
    images,
    blobs,
    caches,
    log,
    limits: limitsOf(config),
    startedAt: Date.now(),
    runnerUrl,
    guestLock: createKeyedLock(),
    messaging,
    shells,
    reach,
    diskGuard,
    secrets,
    masks,
    retention: createRetentionState(),
    pausedReason: () => diskGuard.pausedReason(),
    audits: createAuditState({ isDriven: true }),
    drainRecord: openDrainRecord(config.dataDir),
    phase: "serving",
  };
}

function limitsOf(config: OrchestratorConfig): LifecycleLimits {
  return {
    bootTimeoutMs: config.bootTimeoutSeconds * 1000,
    stopTimeoutMs: config.stopTimeoutSeconds * 1000,
    silenceTimeoutMs: config.silenceTimeoutSeconds * 1000,
    flushGraceMs,
    cleanupTimeoutMs: config.cleanupTimeoutSeconds * 1000,
    powerOffGraceMs,
    pollMs: guestPollMs,
  };
}

function readyFacts(context: Context, apiUrl: string): object {
  return {
    apiUrl,
    runnerUrl: context.runnerUrl,
    hostId: context.identity.hostId,
    hypervisor: context.hypervisor.backend,
    dataDir: context.config.dataDir,
    maxConcurrency: context.config.maxConcurrency,
  };
}
