import { join } from "node:path";
import type { OrchestratorConfig } from "../config/orchestrator-config.ts";
import { makeDirectory } from "../host/files/make-directory.ts";
import { openSqliteStore, type Store } from "../store/store.ts";
import type { Log } from "./context.ts";

/** How long a database server that does not answer is waited for at the start: it may be starting as well. */
const databaseWaitSeconds = 60;

/** The database that hosts share where one is named, else a file of this host's own. Migrates it. */
export async function openStore(config: OrchestratorConfig, log: Log): Promise<Store> {
  const { databaseUrl: url } = config;
  // Without a broker nobody would take the results out.
  const recordsResults = config.amqp !== null;
  if (url !== null) {
    // Loaded only where it is used, like whatever else a daemon can do without: its memory is the operator's.
    const { openPostgresStore } = await import("../store/postgres/open.ts");
    return openPostgresStore({ url, waitSeconds: databaseWaitSeconds, log, recordsResults });
  }
  // The data directory can be passed through by QEMU's user, who needs its overlays; what jobs printed is nobody's.
  const stateDir = join(config.dataDir, "state");
  makeDirectory(stateDir, 0o700);
  return openSqliteStore({ path: join(stateDir, "solstice.db"), recordsResults });
}
