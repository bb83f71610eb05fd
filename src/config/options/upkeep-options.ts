import type { OptionDefinition } from "./option-definition.ts";
import { duration, retention, wholeNumber } from "./option-parsers.ts";

const upkeep = "Upkeep:";

/** Upkeep of a host: the disk reserve, the audit, and retention. */
export const upkeepOptions = {
  diskReserveMb: {
    flag: "disk-reserve-mb",
    placeholder: "MB",
    environment: "DISK_RESERVE_MB",
    group: upkeep,
    description: "free space in the data directory below which no job is started, in MiB",
    defaultText: "4096",
    parse: wholeNumber(0, 1_000_000_000),
  } as const satisfies OptionDefinition<number>,
  auditInterval: {
    flag: "audit-interval",
    placeholder: "TIME",
    environment: "AUDIT_INTERVAL",
    group: upkeep,
    description: "interval of the audit, which compares the host with the store and removes leaks",
    defaultText: "5m",
    parse: duration,
  } as const satisfies OptionDefinition<number>,
  jobRetention: {
    flag: "job-retention",
    placeholder: "TIME",
    environment: "JOB_RETENTION",
    group: upkeep,
    description: "time that a finished job is kept with its logs; 0: for ever",
    defaultText: "90d",
    parse: retention,
  } as const satisfies OptionDefinition<number>,
  logStoreLimitMb: {
    flag: "log-store-limit-mb",
    placeholder: "MB",
    environment: "LOG_STORE_LIMIT_MB",
    group: upkeep,
    description:
      "largest total size of all logs in the store, compressed, in MiB; the oldest finished jobs' logs are removed first; 0: no limit",
    defaultText: "20480",
    parse: wholeNumber(0, 1_000_000_000),
  } as const satisfies OptionDefinition<number>,
  imageRetention: {
    flag: "image-retention",
    placeholder: "TIME",
    environment: "IMAGE_RETENTION",
    group: upkeep,
    description:
      "time that a prepared image is kept in the data directory after the map no longer names it; 0: for ever",
    defaultText: "30d",
    parse: retention,
  } as const satisfies OptionDefinition<number>,
};
