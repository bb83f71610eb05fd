import { readDrainRecord } from "../../orchestrator/hosts/drain-record.ts";
import { timeText } from "../print/text.ts";
import { type Check, ok, warn } from "./check.ts";

/** Checks whether an operator drains this host, also while its orchestrator does not run. */
export function drainCheck(dataDir: string): Check {
  return {
    name: "takes jobs",
    async run() {
      const since = readDrainRecord(dataDir);
      if (since === null) return ok("The host is not being drained.");
      return warn(
        `The host has been draining since ${timeText(since)} and starts no jobs.`,
        "solstice drain --end",
      );
    },
  };
}
