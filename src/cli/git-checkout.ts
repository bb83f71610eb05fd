import { SolsticeError } from "../core/errors.ts";
import { runCommand } from "../host/command.ts";

/** What a git checkout says about itself. */
export interface GitCheckout {
  /** The URL others reach the repository at, or null when it has no remote. */
  readonly remoteUrl: string | null;
  readonly commit: string;
  /** The branch as `refs/heads/…`, null for a detached HEAD or a commit given. */
  readonly ref: string | null;
  /** Whether files differ from the commit. */
  readonly isDirty: boolean;
  /** Whether a remote branch known here contains the commit. */
  readonly isPushed: boolean;
}

const localSeconds = 30;
const networkSeconds = 60;

/** Reads the checkout around `directory`, at `commitish` or its HEAD. Throws `usage` when it is none, or has no such commit. */
export async function readGitCheckout(directory: string, commitish: string | null): Promise<GitCheckout> {
  const inside = await git(directory, ["rev-parse", "--is-inside-work-tree"]);
  if (inside !== "true") throw notACheckout(directory);
  const commit = await git(directory, [
    "rev-parse",
    "--verify",
    "--quiet",
    "--end-of-options",
    `${commitish ?? "HEAD"}^{commit}`,
  ]);
  if (commit === null) {
    throw new SolsticeError("usage", `The checkout ${directory} has no commit "${commitish ?? "HEAD"}".`, {
      remedy: "Commit something first, fetch, or name another with --commit.",
    });
  }
  const branch = commitish === null ? await git(directory, ["symbolic-ref", "--quiet", "HEAD"]) : null;
  const [remoteUrl, ref, status, containing] = await Promise.all([
    readRemoteUrl(directory, branch),
    readPushedRef(directory, branch),
    git(directory, ["status", "--porcelain", "--untracked-files=no"]),
    git(directory, [
      "for-each-ref",
      "--count=1",
      "--contains",
      commit,
      "--format=%(refname)",
      "refs/remotes/",
    ]),
  ]);
  return { remoteUrl, commit, ref, isDirty: Boolean(status), isPushed: Boolean(containing) };
}

/** The commit that `ref` (or the default branch) of a remote repository is at. Throws `usage`. */
export async function readRemoteCommit(url: string, ref: string | null): Promise<string> {
  const args = ["ls-remote", "--exit-code", "--", url, ref ?? "HEAD"];
  const { stdout } = await runCommand("git", args, {
    deadlineSeconds: networkSeconds,
    errorCode: "usage",
    acceptExitCodes: [0, 2],
  });
  const commit = /^([0-9a-f]{40,64})\t/.exec(stdout)?.[1];
  if (commit !== undefined) return commit;
  throw new SolsticeError("usage", `The repository ${url} has no ${ref ?? "HEAD"}.`, {
    remedy: "Name the commit with --commit.",
  });
}

/** The output of git in `directory`, or null when it exits with an error: the questions here have "no" as an answer. */
async function git(directory: string, args: readonly string[]): Promise<string | null> {
  const { exitCode, stdout } = await runCommand("git", ["-C", directory, ...args], {
    deadlineSeconds: localSeconds,
    acceptExitCodes: [0, 1, 2, 128],
  });
  return exitCode === 0 ? stdout.trim() : null;
}

/** The remote the branch follows, else `origin`, else the only one. */
async function readRemoteUrl(directory: string, branch: string | null): Promise<string | null> {
  const names = ((await git(directory, ["remote"])) ?? "").split("\n").filter(Boolean);
  const followed = branch && (await git(directory, ["config", `branch.${shortName(branch)}.remote`]));
  const name = [followed, "origin", names.length === 1 ? names[0] : null].find(
    (one) => one && names.includes(one),
  );
  return name ? await git(directory, ["remote", "get-url", "--", name]) : null;
}

/** The name the branch has at its remote, which the guest may fetch; null when it follows none. */
async function readPushedRef(directory: string, branch: string | null): Promise<string | null> {
  return branch === null ? null : await git(directory, ["config", `branch.${shortName(branch)}.merge`]);
}

function shortName(branch: string): string {
  return branch.replace(/^refs\/heads\//, "");
}

function notACheckout(directory: string): SolsticeError {
  return new SolsticeError("usage", `${directory} is not a git checkout.`, {
    remedy: "Go into one, name one or a URL with --repo, or use --no-repo for a job without a repository.",
  });
}
