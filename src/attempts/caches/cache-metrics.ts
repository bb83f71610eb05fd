import { Counter, Gauge, type Registry } from "prom-client";

/** The cache metrics of a host. */
export interface CacheMetrics {
  /** Restores since the start, by `outcome`: `hit`, `partial`, `miss`. */
  readonly restores: Counter<"outcome">;
  /** Saves since the start, by `outcome`: `saved`, `exists`, `read_only`, `no_room`. */
  readonly saves: Counter<"outcome">;
  /** Bytes since the start, by `direction`: `restored`, `saved`. */
  readonly bytes: Counter<"direction">;
  /** Entries removed since the start, by `reason`. */
  readonly removed: Counter<"reason">;
  /** Bytes of all entries at the last measurement. */
  readonly size: Gauge;
}

/** Adds the cache's metrics to a registry. */
export function createCacheMetrics(registry: Registry): CacheMetrics {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, label: L) =>
    new Counter<L>({ name, help, labelNames: [label], registers });
  return {
    restores: counter("solstice_cache_restores_total", "Restores of job caches by outcome", "outcome"),
    saves: counter("solstice_cache_saves_total", "Saves of job caches by outcome", "outcome"),
    bytes: counter("solstice_cache_bytes_total", "Bytes of job caches restored and saved", "direction"),
    removed: counter("solstice_cache_removed_total", "Entries and blobs that upkeep removed", "reason"),
    size: new Gauge({
      name: "solstice_cache_size_bytes",
      help: "Bytes of all cache entries in this host's store at the last measurement",
      registers,
    }),
  };
}
