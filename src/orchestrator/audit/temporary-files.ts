import { lstat, readdir, rm, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { orchestratorNoteName } from "../../config/load-client-config.ts";
import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { probeFileName, probeFolderPrefix } from "../../host/kvm/kvm.ts";
import { type Leftover, listImageLeftovers } from "../../images/prepare/leftovers.ts";

/**
 * The age after which a temporary file is stale, in ms: writing one takes milliseconds, and the KVM probe has
 * a deadline of seconds.
 */
const staleAfterMs = 10 * 60_000;

/**
 * Lists our temporary files on this host that are not in a guest's directory (those are removed with the
 * guest): notes and image notes before their rename, remains of image preparations, and folders of the KVM
 * probe.
 */
export async function listTemporaryFiles(
  config: Pick<OrchestratorConfig, "dataDir" | "imageMap">,
  temporaryDirectory = tmpdir(),
): Promise<Leftover[]> {
  const { dataDir } = config;
  const facts = await inFolder(join(dataDir, "image-facts"), /\.json\.\d+\.tmp$/);
  const files = await Promise.all([
    describeFile(join(dataDir, `${orchestratorNoteName}.new`), "a partly written note of the orchestrator"),
    ...facts.map((path) => describeFile(path, "a partly written note about an image")),
    ...(await probeFolders(temporaryDirectory)).map(describeProbe),
  ]);
  return [...files.filter((file) => file !== null), ...(await listImageLeftovers(config))];
}

async function inFolder(folder: string, pattern: RegExp): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => pattern.test(name)).map((name) => join(folder, name));
}

async function describeFile(path: string, what: string): Promise<Leftover | null> {
  const file = await lstat(path).catch(() => null);
  if (!file?.isFile()) return null;
  return {
    ...{ path, what, staleAfterMs, isHeld: false, modifiedAt: file.mtimeMs },
    remove: () => rm(path, { force: true }),
  };
}

function probeFolders(directory: string): Promise<string[]> {
  return inFolder(directory, new RegExp(`^${probeFolderPrefix}[A-Za-z0-9]{6}$`));
}

/**
 * All users share the system's temporary directory: only a folder of this user is ours, and only our files in
 * it are removed.
 */
async function describeProbe(path: string): Promise<Leftover | null> {
  const folder = await lstat(path).catch(() => null);
  if (!folder?.isDirectory() || folder.uid !== process.getuid?.()) return null;
  return {
    ...{ path, staleAfterMs, isHeld: false, modifiedAt: folder.mtimeMs },
    what: "the folder of a guest that probed KVM",
    async remove() {
      await rm(join(path, probeFileName), { force: true });
      await rmdir(path);
    },
  };
}
