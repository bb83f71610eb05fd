import type { CacheEntry, CacheUse, Job } from "../../gen/solstice/v1/jobs_pb.ts";
import { formatBytes } from "../../host/files/disk-space.ts";
import type { Output } from "../context.ts";
import { tableText } from "./table.ts";
import { durationText, oneLine, repositoryText } from "./text.ts";

/** An entry of the cache as `--json` prints it. `docs/reference/cli.md` documents the keys; they must not change. */
export function cacheEntryDocument(entry: CacheEntry) {
  return {
    id: entry.id,
    repository: entry.repository || null,
    image: entry.image,
    ref: entry.ref || null,
    key: entry.key,
    size_bytes: Number(entry.size),
    sha256: entry.sha256,
    compression: entry.compression,
    job_id: entry.jobId,
    created_ms: Number(entry.createdMs),
    last_used_ms: Number(entry.lastUsedMs),
    uses: Number(entry.uses),
    host_id: entry.hostId || null,
  };
}

/** The entries as a table for people. */
export function cacheEntriesText(entries: readonly CacheEntry[], output: Output, now: number): string {
  if (entries.length === 0) return "The cache has no such entry.\n";
  const head = ["ID", "KEY", "REPOSITORY", "REF", "IMAGE", "SIZE", "USED", "USES"];
  const rows = entries.map((entry) => [
    oneLine(entry.id),
    oneLine(entry.key),
    entry.repository === "" ? "-" : repositoryText(entry.repository),
    oneLine(entry.ref) || "-",
    oneLine(entry.image),
    formatBytes(Number(entry.size)),
    `${durationText(now - Number(entry.lastUsedMs))} ago`,
    String(entry.uses),
  ]);
  return tableText({ head, rows, flexible: [1, 2, 3], whole: [0] }, output);
}

/** A job's use of a cache, as `--json` prints it. */
export function cacheUseDocument(use: CacheUse) {
  return {
    index: use.index,
    action: use.action,
    outcome: use.outcome,
    key: use.key,
    size_bytes: Number(use.size),
  };
}

/** A job's use of its caches, as a table for people; empty for a job without caches. */
export function cacheUsesText({ cache }: Job, output: Output): string {
  if (cache.length === 0) return "";
  const head = ["CACHE", "ACTION", "OUTCOME", "SIZE", "KEY"];
  const rows = cache.map((use) => [
    String(use.index),
    oneLine(use.action),
    oneLine(use.outcome),
    use.size === 0n ? "" : formatBytes(Number(use.size)),
    oneLine(use.key),
  ]);
  return tableText({ head, rows, flexible: [4] }, output);
}
