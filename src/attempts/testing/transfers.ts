import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { openDirectoryStore } from "../../blobs/directory-store.ts";
import { silentLog } from "../../core/log.ts";
import type { Store } from "../../store/store.ts";
import { type ArtifactLimits, createArtifactKind } from "../transfers/artifact-kind.ts";
import { createTransfers, type Transfers, type TransfersOptions } from "../transfers/transfers.ts";

const mebibyte = 1024 * 1024;

/** Limits that no test reaches by accident. */
export const largeLimits: ArtifactLimits = {
  fileBytes: 100 * mebibyte,
  jobBytes: 200 * mebibyte,
  storeBytes: 300 * mebibyte,
};

const log = silentLog;

/** Transfers into a blob store in its own directory, which is removed after the test. */
export async function openTestTransfers(
  t: TestContext,
  store: Store,
  options: Partial<TransfersOptions> & { limits?: Partial<ArtifactLimits> } = {},
): Promise<Transfers> {
  const root = await mkdtemp(join(tmpdir(), "solstice-transfers-"));
  t.after(() => rm(root, { recursive: true, force: true }));
  return createTransfers({
    store,
    blobs: await openDirectoryStore(root),
    kinds: {
      uploads: { artifact: createArtifactKind({ ...largeLimits, ...options.limits }) },
      downloads: {},
    },
    hostId: "host-1",
    log,
    now: Date.now,
    diskProblem: () => null,
    ...options,
  });
}
