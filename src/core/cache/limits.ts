/** Named limits of the caches that one job may ask for. */
export const cacheLimits = {
  caches: 10,
  /** Characters of a key, or of a beginning of one, as the request has it. */
  keyChars: 200,
  /** Files that one key may hold the hashes of. */
  keyFiles: 10,
  restoreKeys: 10,
  paths: 50,
  pathChars: 1000,
} as const;
