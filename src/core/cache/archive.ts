/** Compressions of the archives of an entry; the programs in its guest decide. */
export const cacheCompressions = ["zstd", "gzip", "none"] as const;

/** One of {@link cacheCompressions}. */
export type CacheCompression = (typeof cacheCompressions)[number];
