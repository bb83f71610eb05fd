import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { hasErrorCode } from "../../host/error-code.ts";
import { replaceFile } from "../../host/files/replace-file.ts";

/** The file of the data directory that exists while an operator drains the host. */
const fileName = "draining";

/** The record of an operator's drain of this host. On disk, so that no crash or restart ends the drain. */
export interface DrainRecord {
  /** The time of the beginning, in ms since the epoch; null: the host accepts jobs. */
  since(): number | null;
  /** Records the drain; an existing record keeps its time. */
  begin(now: number): void;
  end(): void;
}

/** Opens the record of a data directory, which this process has locked. */
export function openDrainRecord(dataDir: string): DrainRecord {
  const path = join(dataDir, fileName);
  let since = readDrainRecord(dataDir);
  return {
    since: () => since,
    begin(now) {
      if (since !== null) return;
      replaceFile(path, `${now}\n`, 0o644);
      since = now;
    },
    end() {
      rmSync(path, { force: true });
      since = null;
    },
  };
}

/** The time since which the host of a data directory drains, or null. A truncated record counts as time 0. */
export function readDrainRecord(dataDir: string): number | null {
  try {
    const at = Number(readFileSync(join(dataDir, fileName), "utf8"));
    return Number.isSafeInteger(at) ? at : 0;
  } catch (error) {
    if (hasErrorCode(error, "ENOENT")) return null;
    throw error;
  }
}
