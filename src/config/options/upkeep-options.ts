import type { OptionDefinition } from "./option-definition.ts";
import { duration, retention, wholeNumber } from "./option-parsers.ts";

const upkeep = "Upkeep:";

/** What keeps a host tidy: the disk guard, the audit, and how long things are kept. */
export const upkeepOptions = {
  diskReserveMb: {
    flag: "disk-reserve-mb",
    placeholder: "MB",
    environment: "DISK_RESERVE_MB",
    group: upkeep,
    description: "no job is started while less than this is free in the data directory, in MiB",
    defaultText: "4096",
    parse: wholeNumber(0, 1_000_000_000),
  } as const satisfies OptionDefinition<number>,
  auditInterval: {
    flag: "audit-interval",
    placeholder: "TIME",
    environment: "AUDIT_INTERVAL",
    group: upkeep,
    description: "how often the host is compared with the store, and what nobody owns is removed",
    defaultText: "5m",
    parse: duration,
  } as const satisfies OptionDefinition<number>,
  jobRetention: {
    flag: "job-retention",
    placeholder: "TIME",
    environment: "JOB_RETENTION",
    group: upkeep,
    description: "how long a finished job is kept with its logs; 0 keeps it for ever",
    defaultText: "90d",
    parse: retention,
  } as const satisfies OptionDefinition<number>,
  logStoreLimitMb: {
    flag: "log-store-limit-mb",
    placeholder: "MB",
    environment: "LOG_STORE_LIMIT_MB",
    group: upkeep,
    description:
      "how much all logs may take in the store, compressed, in MiB: the oldest finished jobs' logs go first; 0 is no limit",
    defaultText: "20480",
    parse: wholeNumber(0, 1_000_000_000),
  } as const satisfies OptionDefinition<number>,
  imageRetention: {
    flag: "image-retention",
    placeholder: "TIME",
    environment: "IMAGE_RETENTION",
    group: upkeep,
    description:
      "how long a prepared image that the map no longer names is kept in the data directory; 0 keeps it for ever",
    defaultText: "30d",
    parse: retention,
  } as const satisfies OptionDefinition<number>,
};
