import { defineOptions } from "./option-definition.ts";
import { duration, retention, wholeNumber } from "./option-parsers.ts";

/** Upkeep of a host: the disk reserve, the audit, and retention. */
export const upkeepOptions = defineOptions("Upkeep:", {
  diskReserveMb: {
    placeholder: "MB",
    description: "free space in the data directory below which no job is started, in MiB",
    defaultText: "4096",
    parse: wholeNumber(0, 1_000_000_000),
  },
  auditInterval: {
    placeholder: "TIME",
    description: "interval of the audit, which compares the host with the store and removes leaks",
    defaultText: "5m",
    parse: duration,
  },
  jobRetention: {
    placeholder: "TIME",
    description: "time that a finished job is kept with its logs; 0: for ever",
    defaultText: "90d",
    parse: retention,
  },
  logStoreLimitMb: {
    placeholder: "MB",
    description:
      "largest total size of all logs in the store, compressed, in MiB; the oldest finished jobs' logs are removed first; 0: no limit",
    defaultText: "20480",
    parse: wholeNumber(0, 1_000_000_000),
  },
  imageRetention: {
    placeholder: "TIME",
    description:
      "time that a prepared image is kept in the data directory after the map no longer names it; 0: for ever",
    defaultText: "30d",
    parse: retention,
  },
});
