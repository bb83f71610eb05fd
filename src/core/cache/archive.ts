/** How the archives of an entry may be compressed: by what its guest had. */
export const cacheCompressions = ["zstd", "gzip", "none"] as const;

/** One of {@link cacheCompressions}. */
export type CacheCompression = (typeof cacheCompressions)[number];
