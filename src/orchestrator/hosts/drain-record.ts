import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { hasErrorCode } from "../../host/error-code.ts";
import { replaceFile } from "../../host/files/replace-file.ts";

/** The file of the data directory that is there while the host drains at an operator's request. */
const fileName = "draining";

/** Whether an operator drains this host. On disk, so that neither a crash nor a restart fills a host that is to be emptied. */
export interface DrainRecord {
  /** Since when, in ms since the epoch; null: the host takes jobs. */
  since(): number | null;
  /** Sets the mark; one that is set keeps its time. */
  begin(now: number): void;
  end(): void;
}

/** Opens the mark of a data directory, of which this process has the lock. */
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

/** Since when the host of a data directory drains, or null. A mark that was cut short counts as one of the epoch. */
export function readDrainRecord(dataDir: string): number | null {
  try {
    const at = Number(readFileSync(join(dataDir, fileName), "utf8"));
    return Number.isSafeInteger(at) ? at : 0;
  } catch (error) {
    if (hasErrorCode(error, "ENOENT")) return null;
    throw error;
  }
}
