import { isSolsticeError } from "../../core/errors.ts";
import { parseRepositoryUrl } from "../../core/text/repository-url.ts";
import { gitIn, queryGit, wrongRepository } from "./git-command.ts";
import { isFullCommit, resolveLocalRef } from "./git-ref.ts";

/** Facts about a git checkout. */
export interface GitCheckout {
  /** The URL of the remote, or null without a remote. */
  readonly remoteUrl: string | null;
  readonly commit: string;
  /** The branch or tag as `refs/heads/…`; null for a detached HEAD or a commit that was given. */
  readonly ref: string | null;
  /** True when files differ from the commit. */
  readonly isDirty: boolean;
  /** True when a branch of the remote, as last fetched or pushed, contains the commit. */
  readonly isPushed: boolean;
}

/** The commit to use: a commit in any of git's notations, else a branch or tag, else HEAD. */
export interface CheckoutChoice {
  readonly commitish: string | null;
  readonly ref: string | null;
}

/** Reads the checkout that contains `directory`. Throws `usage` if there is no checkout, git fails, or the commit does not exist. */
export async function readGitCheckout(directory: string, choice: CheckoutChoice): Promise<GitCheckout> {
  await requireCheckout(directory);
  const { commit, name } = await choose(directory, choice);
  const branch = name?.startsWith("refs/heads/") ? name : null;
  const remote = await readRemote(directory, branch);
  const [pushedRef, status, containing] = await Promise.all([
    remote.isFollowed ? queryGit(directory, ["config", `branch.${shortName(branch)}.merge`]) : null,
    gitIn(directory, ["status", "--porcelain", "--untracked-files=no"]),
    findRemoteBranch(directory, commit, remote.name),
  ]);
  return {
    remoteUrl: remote.url,
    commit,
    ref: pushedRef ?? (choice.ref === null ? null : name),
    isDirty: status.stdout.trim() !== "",
    isPushed: containing !== "",
  };
}

async function choose(
  directory: string,
  { commitish, ref }: CheckoutChoice,
): Promise<{ commit: string; name: string | null }> {
  if (commitish !== null) return { commit: await readCommit(directory, commitish), name: null };
  if (ref !== null && ref !== "HEAD") {
    const { name } = await readRemote(directory, null);
    return await resolveLocalRef(directory, ref, name);
  }
  const commit = await readCommit(directory, "HEAD");
  return { commit, name: await queryGit(directory, ["symbolic-ref", "--quiet", "HEAD"]) };
}

async function requireCheckout(directory: string): Promise<void> {
  const remedy =
    "Run the command in a checkout, name a checkout or a URL with --repo, or use --no-repo for a job without a repository.";
  try {
    const { stdout } = await gitIn(directory, ["rev-parse", "--is-inside-work-tree"]);
    if (stdout.trim() === "true") return;
  } catch (error) {
    // git ends with 128 for this as for every other failure, such as a directory of somebody else's: only its text differs.
    if (!isSolsticeError(error) || !/not a git repository \(or any/.test(error.message)) throw error;
  }
  throw wrongRepository(`${directory} is not a git checkout.`, remedy);
}

/** git's warning for a name that is both a branch and a tag, or a ref and the beginning of a hash; git chooses one of them and exits with 0. */
const ambiguous = /^warning: refname .* is ambiguous/m;

/** Notations that are never ambiguous: a full hash, a full name, HEAD, and notations relative to HEAD. */
const exactNotation = /^(refs\/|(HEAD|@)($|[~^@{])|([0-9a-f]{40}|[0-9a-f]{64})($|[~^]))/;

async function readCommit(directory: string, commitish: string): Promise<string> {
  const { exitCode, stdout, stderr } = await gitIn(
    directory,
    [
      ...["-c", "core.warnAmbiguousRefs=true"],
      ...["rev-parse", "--verify", "--end-of-options", `${commitish}^{commit}`],
    ],
    { exitCodes: [0, 128] },
  );
  const commit = stdout.trim();
  if (ambiguous.test(stderr) && !exactNotation.test(commitish)) {
    throw wrongRepository(
      `"${commitish}" names several things in the checkout ${directory}.`,
      "Write the full hash, or a full name such as refs/heads/main.",
    );
  }
  if (exitCode === 0 && isFullCommit(commit)) return commit;
  const why = /^error: (.* is ambiguous.*)$/m.exec(stderr)?.[1];
  throw wrongRepository(
    `The checkout ${directory} has no commit "${commitish}"${why === undefined ? "" : ` (${why})`}.`,
    "Commit something first, fetch, or name another commit with --commit.",
  );
}

interface Remote {
  /** Null when the branch follows a URL, or there is no remote. */
  readonly name: string | null;
  readonly url: string | null;
  /** True when the branch follows this remote. */
  readonly isFollowed: boolean;
}

/** The remote that the branch follows, else `origin`, else the only remote. */
async function readRemote(directory: string, branch: string | null): Promise<Remote> {
  const names = (await gitIn(directory, ["remote"])).stdout.split("\n").filter(Boolean);
  const followed = branch && (await queryGit(directory, ["config", `branch.${shortName(branch)}.remote`]));
  if (followed && !names.includes(followed) && parseRepositoryUrl(followed) !== null) {
    return { name: null, url: followed, isFollowed: true };
  }
  const name = [followed, "origin", names.length === 1 ? names[0] : null].find(
    (one) => one && names.includes(one),
  );
  if (!name) return { name: null, url: null, isFollowed: false };
  const { stdout } = await gitIn(directory, ["remote", "get-url", "--", name]);
  return { name, url: stdout.trim(), isFollowed: name === followed };
}

/** The name of one fetched branch of the remote that contains the commit; empty for none. */
async function findRemoteBranch(directory: string, commit: string, remote: string | null): Promise<string> {
  const where = remote === null ? "refs/remotes/" : `refs/remotes/${remote}/`;
  const args = ["for-each-ref", "--count=1", "--contains", commit, "--format=%(refname)", where];
  return (await gitIn(directory, args)).stdout.trim();
}

function shortName(branch: string | null): string {
  return (branch ?? "").replace(/^refs\/heads\//, "");
}
