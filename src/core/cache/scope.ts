import { parseRepositoryUrl, type RepositoryAddress } from "../text/repository-url.ts";
import { withoutTrailing } from "../text/text-ends.ts";

/** What keeps the caches of one repository from those of another, in a job's words. */
export interface CacheScope {
  /** {@link cacheRepository} of the job's repository. */
  readonly repository: string;
  /** The job's image: what was built on one system is of no use on another. */
  readonly image: string;
  /** {@link cacheRef} of the job's ref. */
  readonly ref: string;
}

/**
 * The name of a repository in the scope of a cache: its URL without a password, a tail such as `.git` or a `/`, and with
 * the host in lower case. Its path keeps its case, since two that differ in it may be two repositories. Empty for jobs
 * without a repository: they share one scope.
 */
export function cacheRepository(url: string | undefined): string {
  if (url === undefined) return "";
  const address = parseRepositoryUrl(url);
  if (address?.form === "scp") return cacheRepository(sameAsUrl(address));
  const [, scheme = "", authority = "", path = ""] = /^([^:]+):\/\/([^/?#]*)(.*)$/s.exec(url) ?? [];
  const user = /^[^:@]*/.exec(authority.slice(0, authority.lastIndexOf("@") + 1))?.[0] ?? "";
  const host = authority.slice(authority.lastIndexOf("@") + 1).toLowerCase();
  // With ssh the user may choose the repository; with http it is who asks.
  const account = scheme.toLowerCase() === "ssh" && user !== "" ? `${user}@` : "";
  return `${scheme.toLowerCase()}://${account}${host}${withoutTail(path)}`;
}

/** The scp form as the URL of the same repository: there a path below the login's home begins with `/~/`. */
function sameAsUrl({ login, host, port, path }: RepositoryAddress): string {
  const account = login === "" ? "" : `${login}@`;
  const fromRoot = path.startsWith("/") ? path : path.startsWith("~") ? `/${path}` : `/~/${path}`;
  return `ssh://${account}${host}${port === null ? "" : `:${port}`}${fromRoot}`;
}

function withoutTail(path: string): string {
  const [plain = ""] = path.split(/[?#]/, 1);
  return withoutTrailing(plain, "/").replace(/\.git$/, "");
}

/** The name of a ref in the scope of a cache: a branch without `refs/heads/`, anything else as it is; empty for none. */
export function cacheRef(ref: string | undefined): string {
  return (ref ?? "").replace(/^refs\/heads\//, "");
}

/** The scope of a job's caches. */
export function cacheScopeOf(job: {
  readonly image: string;
  readonly request: { readonly repo_url?: string | undefined; readonly ref?: string | undefined };
}): CacheScope {
  return {
    repository: cacheRepository(job.request.repo_url),
    image: job.image,
    ref: cacheRef(job.request.ref),
  };
}

/**
 * The refs whose entries a job of `ref` may restore, its own first. Those of the shared refs (the branches that only
 * reviewed changes reach) are for everybody; those of any other ref are for that ref alone, so that what an unreviewed
 * change saved reaches no other branch.
 */
export function readableRefs(ref: string, sharedRefs: readonly string[]): string[] {
  return [...new Set([ref, ...sharedRefs])];
}
