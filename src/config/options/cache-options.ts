import { defineOptions } from "./option-definition.ts";
import { refNames, retention, wholeNumber } from "./option-parsers.ts";

/** Limits, retention and sharing of the jobs' cache. */
export const cacheOptions = defineOptions("Files of jobs:", {
  cacheEntryLimitMb: {
    placeholder: "MB",
    description: "largest entry of the cache, compressed, in MiB; 0: no limit",
    defaultText: "2048",
    parse: wholeNumber(0, 1_000_000_000),
  },
  cacheRepositoryLimitMb: {
    placeholder: "MB",
    description:
      "largest total size of one repository's cache entries, in MiB; the least recently used are removed first; 0: no limit",
    defaultText: "10240",
    parse: wholeNumber(0, 1_000_000_000),
  },
  cacheLimitMb: {
    placeholder: "MB",
    description:
      "largest total size of all cache entries on this host, or in the bucket, in MiB; 0: no limit",
    defaultText: "20480",
    parse: wholeNumber(0, 1_000_000_000),
  },
  cacheRetention: {
    placeholder: "TIME",
    description: "time that a cache entry is kept after its last use; 0: for ever",
    defaultText: "30d",
    parse: retention,
  },
  cacheSharedRefs: {
    placeholder: "REFS",
    description:
      "branches whose caches every branch and pull request may restore; only reviewed changes should reach these branches",
    defaultText: "main,master",
    parse: refNames,
  },
});
