/** Limits of the caches of one job. */
export const cacheLimits = {
  caches: 10,
  /** Characters of a key or restore key, as written in the request. */
  keyChars: 200,
  /** Number of files whose hashes one key may contain. */
  keyFiles: 10,
  restoreKeys: 10,
  paths: 50,
  pathChars: 1000,
} as const;
