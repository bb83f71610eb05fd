import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { guestPlaceOptions } from "../config/options/guest-place-options.ts";
import type { OrchestratorConfig } from "../config/orchestrator-config.ts";
import { type Backend, backends } from "../core/job/job.ts";
import { replaceFile } from "../host/files/replace-file.ts";

/** The file of the data directory that keeps, also after the end of the process, what its guests depend on. */
const lastRunFileName = "last-run.json";

const lastRunSchema = z.object({
  backend: z.enum(backends),
  options: z.record(z.string(), z.string()),
  runnerPort: z.int().min(1).max(65_535),
  runnerUrl: z.url(),
});

/** How the last orchestrator of a data directory ran, as far as its guests depend on it. */
export interface LastRun {
  readonly backend: Backend;
  /** The values of the backend's `guestPlaceOptions`, by their flags without dashes. */
  readonly options: Readonly<Record<string, string>>;
  /** The port that was listened on for guests. */
  readonly runnerPort: number;
  /** The URL that guests were given. */
  readonly runnerUrl: string;
}

/** Notes how this orchestrator runs. */
export function noteLastRun(
  { dataDir, settings }: Pick<OrchestratorConfig, "dataDir" | "settings">,
  run: Omit<LastRun, "options">,
): void {
  const flags = Object.values(guestPlaceOptions[run.backend]).map(({ flag }) => flag);
  const noted = settings.filter(({ flag, value }) => flags.includes(flag) && value !== null);
  const options = Object.fromEntries(noted.map(({ flag, value }) => [flag, value]));
  replaceFile(join(dataDir, lastRunFileName), `${JSON.stringify({ ...run, options })}\n`, 0o600);
}

/** What the last orchestrator of `dataDir` noted; null where none has, or where the file cannot be read. */
export function readLastRun(dataDir: string): LastRun | null {
  try {
    return lastRunSchema.parse(JSON.parse(readFileSync(join(dataDir, lastRunFileName), "utf8")));
  } catch {
    // No orchestrator of a version that notes it has run here, or only another user may read it.
    return null;
  }
}
