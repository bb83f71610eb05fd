import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { guestPlaceOptions } from "../config/options/guest-place-options.ts";
import type { OrchestratorConfig } from "../config/orchestrator-config.ts";
import { SolsticeError } from "../core/errors.ts";
import { type Backend, backends } from "../core/job/job.ts";
import { replaceFile } from "../host/files/replace-file.ts";

/** The file of the data directory that keeps, also after the end of the process, what its guests depend on. */
const lastRunFileName = "last-run.json";

const storeKinds = ["SQLite", "PostgreSQL"] as const;

const lastRunSchema = z.object({
  store: z.enum(storeKinds),
  backend: z.enum(backends),
  options: z.record(z.string(), z.string()),
  runnerPort: z.int().min(1).max(65_535),
  runnerUrl: z.url(),
});

/** How the last orchestrator of a data directory ran, as far as its guests depend on it. */
export interface LastRun {
  /** Where the jobs of its guests are recorded. */
  readonly store: (typeof storeKinds)[number];
  readonly backend: Backend;
  /** The values of the backend's `guestPlaceOptions`, by their flags without dashes. */
  readonly options: Readonly<Record<string, string>>;
  /** The port that was listened on for guests. */
  readonly runnerPort: number;
  /** The URL that guests were given. */
  readonly runnerUrl: string;
}

/** Records how this orchestrator runs. Call it before the first guest is made. */
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

/** What the last orchestrator of `dataDir` recorded; null where none has, or where the file cannot be read. */
export function readLastRun(dataDir: string): LastRun | null {
  try {
    return lastRunSchema.parse(JSON.parse(readFileSync(join(dataDir, lastRunFileName), "utf8")));
  } catch {
    // No orchestrator of a version that records it has run here, or only another user may read it.
    return null;
  }
}

/**
 * Throws `config_invalid` where the orchestrator of this data directory last used another kind of store. Compared with the
 * wrong store, each of its guests would look like a leak.
 */
export function refuseOtherStore(config: Pick<OrchestratorConfig, "dataDir" | "databaseUrl">): void {
  const recorded = readLastRun(config.dataDir)?.store ?? null;
  const given = storeKindOf(config);
  if (recorded === null || recorded === given) return;
  throw new SolsticeError(
    "config_invalid",
    `The orchestrator of ${config.dataDir} keeps its jobs in ${recorded}, not in ${given}.`,
    {
      remedy: recorded === "SQLite" ? "Unset DATABASE_URL." : "Set DATABASE_URL as the orchestrator has it.",
    },
  );
}

function storeKindOf({ databaseUrl }: Pick<OrchestratorConfig, "databaseUrl">): LastRun["store"] {
  return databaseUrl === null ? "SQLite" : "PostgreSQL";
}
