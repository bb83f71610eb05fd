import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { OrchestratorConfig } from "../config/orchestrator-config.ts";
import { SolsticeError } from "../core/errors.ts";
import { replaceFile } from "../host/files/replace-file.ts";

type StorePlace = Pick<OrchestratorConfig, "dataDir" | "databaseUrl">;

/** The file of the data directory that holds the kind of store which its orchestrator last used. */
const storeKindFileName = "store-kind";

/** Notes which kind of store the orchestrator of this data directory uses. */
export function noteStoreKind(place: StorePlace): void {
  replaceFile(join(place.dataDir, storeKindFileName), `${kindOf(place)}\n`, 0o600);
}

/**
 * Throws `config_invalid` where the orchestrator of this data directory last used another kind of store. Compared with the wrong
 * store, each of its guests would look like a leak.
 */
export function refuseOtherStore(place: StorePlace): void {
  const noted = readKind(place.dataDir);
  if (noted === null || noted === kindOf(place)) return;
  throw new SolsticeError(
    "config_invalid",
    `The orchestrator of ${place.dataDir} keeps its jobs in ${noted}, not in ${kindOf(place)}.`,
    {
      remedy: noted === "SQLite" ? "Unset DATABASE_URL." : "Set DATABASE_URL as the orchestrator has it.",
    },
  );
}

function kindOf({ databaseUrl }: StorePlace): string {
  return databaseUrl === null ? "SQLite" : "PostgreSQL";
}

function readKind(dataDir: string): string | null {
  try {
    return readFileSync(join(dataDir, storeKindFileName), "utf8").trim();
  } catch {
    // No orchestrator of a version that notes it has run here.
    return null;
  }
}
