import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { guestPlaceOptions } from "../config/options/guest-place-options.ts";
import type { OrchestratorConfig } from "../config/orchestrator-config.ts";
import { SolsticeError } from "../core/errors.ts";
import { type Backend, backends } from "../core/job/job.ts";
import { replaceFile } from "../host/files/replace-file.ts";

/**
 * The file of the data directory that records the settings on which guests depend, also after the process has
 * ended.
 */
const lastRunFileName = "last-run.json";

const storeKinds = ["SQLite", "PostgreSQL"] as const;

const lastRunSchema = z.object({
  store: z.enum(storeKinds),
  backend: z.enum(backends),
  options: z.record(z.string(), z.string()),
  runnerPort: z.int().min(1).max(65_535),
  runnerUrl: z.url(),
});

/** The settings of the last orchestrator of a data directory on which its guests depend. */
export interface LastRun {
  /** The kind of store that has the jobs of its guests. */
  readonly store: (typeof storeKinds)[number];
  readonly backend: Backend;
  /** The values of the backend's `guestPlaceOptions`, by flag without dashes. */
  readonly options: Readonly<Record<string, string>>;
  /** The port of the server for guests. */
  readonly runnerPort: number;
  /** The URL that guests received. */
  readonly runnerUrl: string;
}

/** Records the settings of this orchestrator. Must be called before the first guest is created. */
export function noteLastRun(
  config: Pick<OrchestratorConfig, "dataDir" | "databaseUrl" | "settings">,
  run: Omit<LastRun, "options" | "store">,
): void {
  const flags = Object.values(guestPlaceOptions[run.backend]).map(({ flag }) => flag);
  const noted = config.settings.filter(({ flag, value }) => flags.includes(flag) && value !== null);
  const options = Object.fromEntries(noted.map(({ flag, value }) => [flag, value]));
  const text = JSON.stringify({ store: storeKindOf(config), ...run, options });
  replaceFile(join(config.dataDir, lastRunFileName), `${text}\n`, 0o600);
}

/**
 * Reads the record of the last orchestrator of `dataDir`; null when the record is missing or cannot be read.
 */
export function readLastRun(dataDir: string): LastRun | null {
  try {
    return lastRunSchema.parse(JSON.parse(readFileSync(join(dataDir, lastRunFileName), "utf8")));
  } catch {
    // No orchestrator of a version with this record has run here, or only another user may read the file.
    return null;
  }
}

/**
 * Throws `config_invalid` when the last orchestrator of this data directory used another kind of store.
 * Compared with the wrong store, each of its guests would look like a leak.
 */
export function refuseOtherStore(config: Pick<OrchestratorConfig, "dataDir" | "databaseUrl">): void {
  const recorded = readLastRun(config.dataDir)?.store ?? null;
  const given = storeKindOf(config);
  if (recorded === null || recorded === given) return;
  throw new SolsticeError(
    "config_invalid",
    `The orchestrator of ${config.dataDir} stores its jobs in ${recorded}, but this command would use ${given}.`,
    {
      remedy: recorded === "SQLite" ? "Unset DATABASE_URL." : "Set DATABASE_URL to the orchestrator's value.",
    },
  );
}

function storeKindOf({ databaseUrl }: Pick<OrchestratorConfig, "databaseUrl">): LastRun["store"] {
  return databaseUrl === null ? "SQLite" : "PostgreSQL";
}
