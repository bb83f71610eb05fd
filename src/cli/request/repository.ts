import { SolsticeError } from "../../core/errors.ts";
import { parseRepositoryUrl } from "../../core/text/repository-url.ts";
import { shownUrl } from "../../core/text/shown-url.ts";
import { repositoryPath } from "../print/text.ts";
import { readGitCheckout } from "./git-checkout.ts";
import { isFullCommit, resolveRemoteRef } from "./git-ref.ts";

/** The flags of `enqueue` that name the repository and the commit. */
export interface RepositoryFlags {
  /** A path or URL; false for `--no-repo`. */
  readonly repo: string | false;
  /** True when both `--repo` and `--no-repo` were given; `repo` holds the last of them. */
  readonly isRepoContradicted?: boolean;
  readonly repoUrl?: string;
  readonly commit?: string;
  readonly ref?: string;
}

/** The repository and commit of a job request, and warnings for the person. */
export interface RepositoryChoice {
  readonly request: {
    readonly repo_url?: string;
    readonly commit_sha?: string;
    readonly ref?: string;
    readonly repo_owner?: string;
    readonly repo_name?: string;
  };
  readonly warnings: readonly string[];
}

/** Finds repository and commit: from a checkout, from a remote repository, or none. Throws `usage`. */
export async function chooseRepository(flags: RepositoryFlags): Promise<RepositoryChoice> {
  refuseContradictions(flags);
  if (flags.repo === false) return { request: {}, warnings: [] };
  const url = flags.repoUrl ?? flags.repo;
  if (flags.repo === "." && flags.repoUrl === undefined) return await fromCheckout(".", flags);
  if (!isUrl(flags.repo)) return await fromCheckout(flags.repo, flags);
  return await fromRemote(requireReachable(url), flags);
}

/** Refuses combinations of flags in which one flag would be ignored silently. */
function refuseContradictions({ repo, isRepoContradicted, repoUrl, commit, ref }: RepositoryFlags): void {
  const isNamed = [repoUrl, commit, ref].some((flag) => flag !== undefined);
  if (isRepoContradicted || (repo === false && isNamed)) {
    throw new SolsticeError(
      "usage",
      "With --no-repo the job starts in an empty directory: do not give --repo, --repo-url, --commit or --ref with it.",
    );
  }
  if (repo !== false && isUrl(repo) && repoUrl !== undefined) {
    throw new SolsticeError(
      "usage",
      "--repo and --repo-url are both URLs: give only one. --repo-url replaces the remote's URL of a checkout.",
    );
  }
}

async function fromCheckout(directory: string, flags: RepositoryFlags): Promise<RepositoryChoice> {
  const checkout = await readGitCheckout(directory, {
    commitish: flags.commit ?? null,
    ref: flags.ref ?? null,
  });
  const url = flags.repoUrl ?? checkout.remoteUrl;
  const warnings: string[] = [];
  const short = checkout.commit.slice(0, 8);
  if (checkout.isDirty && flags.commit === undefined && flags.ref === undefined) {
    warnings.push(
      `The checkout has changes that are not committed; the job runs commit ${short} without them.`,
    );
  }
  // With --repo-url, the remote branches of this checkout may belong to another repository.
  if (!checkout.isPushed && flags.repoUrl === undefined) {
    warnings.push(
      `Commit ${short} is on no remote branch in this checkout: if it is not pushed, the guest cannot fetch it.`,
    );
  }
  // With --commit, the ref is taken from --ref as given; otherwise the checkout has resolved it.
  const ref = (flags.commit === undefined ? null : flags.ref) ?? checkout.ref;
  return { request: describe(requireReachable(url), checkout.commit, ref), warnings };
}

async function fromRemote(url: string, flags: RepositoryFlags): Promise<RepositoryChoice> {
  if (flags.commit !== undefined && !isFullCommit(flags.commit)) {
    throw new SolsticeError(
      "usage",
      `--commit: got "${flags.commit}"; with a URL it needs the full commit hash.`,
      {
        remedy: "Give the full hash, or a branch or tag with --ref, or neither for the default branch.",
      },
    );
  }
  if (flags.commit !== undefined) {
    return { request: describe(url, flags.commit, flags.ref ?? null), warnings: [] };
  }
  const { commit, name } = await resolveRemoteRef(url, flags.ref ?? null);
  return { request: describe(url, commit, name), warnings: [] };
}

function describe(url: string, commit: string, ref: string | null): RepositoryChoice["request"] {
  const [, owner, name] = /([^/:]+)\/([^/]+)$/.exec(repositoryPath(url)) ?? [];
  return {
    repo_url: url,
    commit_sha: commit,
    ...(ref !== null && { ref }),
    ...(owner !== undefined && { repo_owner: owner.slice(0, 200) }),
    ...(name !== undefined && { repo_name: name.slice(0, 200) }),
  };
}

/** Refuses a URL that a guest cannot use. A guest is another machine, so it cannot read local files. */
function requireReachable(url: string | null): string {
  const remedy = "Give a http, https, ssh or git URL, or git@host:path, with --repo-url, or use --no-repo.";
  if (url === null) throw new SolsticeError("usage", "The checkout has no remote repository.", { remedy });
  const reachable = url.replace(/^(git\+ssh|ssh\+git):/, "ssh:");
  if (parseRepositoryUrl(reachable) !== null) return reachable;
  throw new SolsticeError("usage", `A guest cannot reach the repository "${shownUrl(url)}".`, { remedy });
}

/** True for a URL by git's rules: a scheme, or a colon before the first slash. */
function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+]*:\/\//i.test(text) || /^(\[[^/]*\]|[A-Za-z0-9@._-]+(\[[^/]*\])?):/.test(text);
}
