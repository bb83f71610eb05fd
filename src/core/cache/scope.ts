import { parseRepositoryUrl, type RepositoryAddress } from "../text/repository-url.ts";
import { withoutTrailing } from "../text/text-ends.ts";

/** The scope that separates a job's caches from those of other repositories, images and refs. */
export interface CacheScope {
  /** {@link cacheRepository} of the job's repository. */
  readonly repository: string;
  /** The job's image: files built on one system are useless on another. */
  readonly image: string;
  /** {@link cacheRef} of the job's ref. */
  readonly ref: string;
}

/**
 * The name of a repository in the scope of a cache: its URL with the host in lower case, and without a password and a
 * final `.git` or `/`. The path keeps its case, since two paths that differ in case may be two repositories. Empty for
 * jobs without a repository: they share one scope.
 */
export function cacheRepository(url: string | undefined): string {
  if (url === undefined) return "";
  const address = parseRepositoryUrl(url);
  if (address?.form === "scp") return cacheRepository(sameAsUrl(address));
  const [, scheme = "", authority = "", path = ""] = /^([^:]+):\/\/([^/?#]*)(.*)$/s.exec(url) ?? [];
  const user = /^[^:@]*/.exec(authority.slice(0, authority.lastIndexOf("@") + 1))?.[0] ?? "";
  const host = authority.slice(authority.lastIndexOf("@") + 1).toLowerCase();
  // The user of an ssh URL may select the repository; the user of an http URL is only the account of the client.
  const account = scheme.toLowerCase() === "ssh" && user !== "" ? `${user}@` : "";
  return `${scheme.toLowerCase()}://${account}${host}${withoutTail(path)}`;
}

/** The scp form as the URL of the same repository: in a URL `/~/` begins a path below the login's home directory. */
function sameAsUrl({ login, host, port, path }: RepositoryAddress): string {
  const account = login === "" ? "" : `${login}@`;
  const fromRoot = path.startsWith("/") ? path : path.startsWith("~") ? `/${path}` : `/~/${path}`;
  return `ssh://${account}${host}${port === null ? "" : `:${port}`}${fromRoot}`;
}

function withoutTail(path: string): string {
  const [plain = ""] = path.split(/[?#]/, 1);
  return withoutTrailing(plain, "/").replace(/\.git$/, "");
}

/**
 * The name of a ref in the scope of a cache: a branch without `refs/heads/`, any other ref unchanged; empty for no ref.
 */
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
 * The refs whose entries a job of `ref` may restore, its own first. Every job may restore the entries of the shared
 * refs (the branches that only reviewed changes reach). The entries of another ref are for that ref only, so that files
 * saved by an unreviewed change reach no other branch.
 */
export function readableRefs(ref: string, sharedRefs: readonly string[]): string[] {
  return [...new Set([ref, ...sharedRefs])];
}
