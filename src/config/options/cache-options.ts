import type { OptionDefinition } from "./option-definition.ts";
import { refNames, retention, wholeNumber } from "./option-parsers.ts";

const files = "Files of jobs:";

/** Limits, retention and sharing of the jobs' cache. */
export const cacheOptions = {
  cacheEntryLimitMb: {
    flag: "cache-entry-limit-mb",
    placeholder: "MB",
    environment: "CACHE_ENTRY_LIMIT_MB",
    group: files,
    description: "largest entry of the cache, compressed, in MiB; 0: no limit",
    defaultText: "2048",
    parse: wholeNumber(0, 1_000_000_000),
  } as const satisfies OptionDefinition<number>,
  cacheRepositoryLimitMb: {
    flag: "cache-repository-limit-mb",
    placeholder: "MB",
    environment: "CACHE_REPOSITORY_LIMIT_MB",
    group: files,
    description:
      "largest total size of one repository's cache entries, in MiB; the least recently used are removed first; 0: no limit",
    defaultText: "10240",
    parse: wholeNumber(0, 1_000_000_000),
  } as const satisfies OptionDefinition<number>,
  cacheLimitMb: {
    flag: "cache-limit-mb",
    placeholder: "MB",
    environment: "CACHE_LIMIT_MB",
    group: files,
    description:
      "largest total size of all cache entries on this host, or in the bucket, in MiB; 0: no limit",
    defaultText: "20480",
    parse: wholeNumber(0, 1_000_000_000),
  } as const satisfies OptionDefinition<number>,
  cacheRetention: {
    flag: "cache-retention",
    placeholder: "TIME",
    environment: "CACHE_RETENTION",
    group: files,
    description: "time that a cache entry is kept after its last use; 0: for ever",
    defaultText: "30d",
    parse: retention,
  } as const satisfies OptionDefinition<number>,
  cacheSharedRefs: {
    flag: "cache-shared-refs",
    placeholder: "REFS",
    environment: "CACHE_SHARED_REFS",
    group: files,
    description:
      "branches whose caches every branch and pull request may restore; only reviewed changes should reach these branches",
    defaultText: "main,master",
    parse: refNames,
  } as const satisfies OptionDefinition<readonly string[]>,
};
