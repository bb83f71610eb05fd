import { join } from "node:path";
import type { OrchestratorConfig } from "../config/orchestrator-config.ts";
import { makeDirectory } from "../host/files/make-directory.ts";
import { openSqliteStore, type Store } from "../store/store.ts";
import type { Log } from "./context.ts";

/** Maximum wait for the database server at the start, in seconds: the server may still be starting. */
const databaseWaitSeconds = 60;

/** Opens the shared database if one is configured, otherwise a file of this host. Migrates it. */
export async function openStore(config: OrchestratorConfig, log: Log): Promise<Store> {
  const { databaseUrl: url } = config;
  // Without a broker, no loop would publish the results.
  const recordsResults = config.amqp !== null;
  if (url !== null) {
    // Loaded only when used, to save memory.
    const { openPostgresStore } = await import("../store/postgres/open.ts");
    return openPostgresStore({ url, waitSeconds: databaseWaitSeconds, log, recordsResults });
  }
  // QEMU's user may pass through the data directory to reach its overlays; it must not read the output of
  // jobs.
  const stateDir = join(config.dataDir, "state");
  makeDirectory(stateDir, 0o700);
  return openSqliteStore({ path: join(stateDir, "solstice.db"), recordsResults });
}
