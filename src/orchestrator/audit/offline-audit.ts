import { existsSync } from "node:fs";
import { join } from "node:path";
import type { BlobStore } from "../../blobs/blob-store.ts";
import { openBlobStore } from "../../blobs/open-blob-store.ts";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { errorText, SolsticeError } from "../../core/errors.ts";
import type { Backend } from "../../core/job/job.ts";
import { writeSeed } from "../../guest/seed/seed-image.ts";
import { acquireProcessLock } from "../../host/process-lock.ts";
import { createHypervisor } from "../../hypervisor/router.ts";
import type { Log } from "../context.ts";
import { openDataDirectory } from "../data-directory.ts";
import { hostIdFileName, loadIdentity } from "../identity.ts";
import { createKeyedLock } from "../keyed-lock.ts";
import { refuseOtherStore } from "../last-run.ts";
import { openStore } from "../open-store.ts";
import { createAuditState } from "./audit-state.ts";
import { reportLeaks } from "./leak-report.ts";

/**
 * Compares a host's inventories when no orchestrator runs, and with `fix` repairs the differences that can be
 * repaired without one. Locks the data directory, and starts no server, guest, network or download. Throws
 * `locked` when an orchestrator runs, `not_found` when none ever ran, and `config_invalid` when the last one
 * used another kind of store.
 */
export async function auditOffline(
  config: OrchestratorConfig,
  options: { fix: boolean; log: Log },
): Promise<{ report: Awaited<ReturnType<typeof reportLeaks>>; backend: Backend }> {
  const { dataDir } = config;
  const { log, fix } = options;
  if (!existsSync(join(dataDir, hostIdFileName))) {
    throw new SolsticeError("not_found", `No orchestrator has run with the data directory ${dataDir}.`, {
      remedy: "Set the orchestrator's data directory with --data-dir.",
    });
  }
  refuseOtherStore(config);
  openDataDirectory(dataDir);
  await using closing = new AsyncDisposableStack();
  const lock = acquireProcessLock(join(dataDir, "orchestrator.lock"), "solstice doctor --leaks");
  closing.defer(() => lock.release());
  const identity = loadIdentity(dataDir);
  const store = await openStore(config, log);
  closing.defer(() => store.close());
  // This audit creates no guest, so it needs no KVM probe, which would start a guest.
  const unprobed = { ...config, libvirtVirtType: "qemu" } as const;
  const hypervisor = await createHypervisor({ config: unprobed, ownerId: identity.hostId, log, writeSeed });
  closing.defer(() => hypervisor.close());
  await hypervisor.connect();
  const audits = createAuditState({ isDriven: false });
  const guestLock = createKeyedLock();
  const blobs = await openBlobs(config);
  if (!(blobs instanceof SolsticeError)) closing.defer(() => blobs.close());
  const context = { config, identity, store, hypervisor, log, guestLock, audits, blobs };
  // Awaited here, because the resources are closed when this function ends.
  return { report: await reportLeaks(context, { fix }), backend: hypervisor.backend };
}

async function openBlobs(config: OrchestratorConfig): Promise<BlobStore | SolsticeError> {
  try {
    return await openBlobStore(config);
  } catch (error) {
    return new SolsticeError("unavailable", errorText(error), { cause: error });
  }
}
