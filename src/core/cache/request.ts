import { z } from "zod";
import { withoutTrailing } from "../text/text-ends.ts";
import { parseCacheKey } from "./key.ts";
import { cacheLimits } from "./limits.ts";
import { cachePathProblem } from "./path.ts";

const cacheKey = z.string().superRefine((text, context) => {
  const parsed = parseCacheKey(text);
  if ("problem" in parsed) context.addIssue({ code: "custom", message: `a key ${parsed.problem}` });
});

const cachePath = z
  .string()
  // A shell completes the name of a directory with a slash.
  .transform((path) => withoutTrailing(path, "/") || path)
  .superRefine((path, context) => {
    const problem = cachePathProblem(path);
    if (problem !== null) context.addIssue({ code: "custom", message: problem });
  });

const cacheRequest = z.object({
  key: cacheKey,
  paths: z.array(cachePath).min(1).max(cacheLimits.paths),
  restore_keys: z.array(cacheKey).max(cacheLimits.restoreKeys).default([]),
});

/** The keys of one entry of `cache`. */
export const cacheKeys: readonly string[] = Object.keys(cacheRequest.shape);

/** One cache of a job, as its request has it. */
export type CacheRequest = z.output<typeof cacheRequest>;

/** The `cache` of a job request: a list, or a single cache. */
export const cacheSchema = z.preprocess(
  (value) => (Array.isArray(value) ? value : [value]),
  z.array(cacheRequest).max(cacheLimits.caches),
);
