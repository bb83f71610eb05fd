import { cacheLimits } from "./limits.ts";

/**
 * The reason why `path` is not a relative path that stays below its root, in words that follow it; null for a valid
 * path.
 */
export function relativePathProblem(path: string): string | null {
  if (path.length === 0 || path.length > cacheLimits.pathChars)
    return `must have 1 to ${cacheLimits.pathChars} characters`;
  if (/\p{Cc}/u.test(path)) return "must have no control characters";
  if (path.startsWith("/")) return "must not be absolute";
  const parts = path.split("/");
  if (parts.some((part) => part === "" || part === "." || part === ".."))
    return "must have no empty part, and no part . or ..";
  return null;
}

/** The beginning of a path below the home directory of a step. */
const home = "~/";

/** {@link relativePathProblem} of a path of a cache: below the checkout, or with `~/` below the home directory. */
export function cachePathProblem(path: string): string | null {
  if (path.startsWith(home)) return relativePathProblem(path.slice(home.length));
  if (path.startsWith("~")) return "must begin with ~/ to be below the home directory";
  return relativePathProblem(path);
}

/** Paths grouped by their root, and relative to it. */
export interface PathsByRoot {
  readonly checkout: readonly string[];
  readonly home: readonly string[];
}

/** Groups the paths of a cache, which must be valid, by their root. */
export function splitByRoot(paths: readonly string[]): PathsByRoot {
  return {
    checkout: paths.filter((path) => !path.startsWith(home)),
    home: paths.filter((path) => path.startsWith(home)).map((path) => path.slice(home.length)),
  };
}
