import { SolsticeError } from "../../core/errors.ts";
import { type CommandResult, runCommand } from "../../host/command.ts";
import { gitEnvironment } from "../../host/git-environment.ts";

const localSeconds = 30;
const networkSeconds = 60;

/** The exit codes of git that are no error; default: only 0. */
interface GitAnswers {
  readonly exitCodes?: readonly number[];
}

/** Runs git in `directory`, even if the environment names another repository. Throws `usage` with git's message. */
export async function gitIn(
  directory: string,
  args: readonly string[],
  { exitCodes = [0] }: GitAnswers = {},
): Promise<CommandResult> {
  return await runCommand("git", ["-C", directory, ...args], {
    acceptExitCodes: exitCodes,
    deadlineSeconds: localSeconds,
    env: gitEnvironment,
    errorCode: "usage",
    remedy: `Correct the problem that git reports; see git -C ${directory} status.`,
  });
}

/** Like {@link gitIn}, for queries of settings or names: null when git exits with 1, its code for "not found". */
export async function queryGit(directory: string, args: readonly string[]): Promise<string | null> {
  const { exitCode, stdout } = await gitIn(directory, args, { exitCodes: [0, 1] });
  return exitCode === 0 ? stdout.trim() : null;
}

/** The lines of `git ls-remote`: hash and full name of each ref that ends in one of `names`. Throws `usage`. */
export async function listRemote(
  url: string,
  names: readonly string[],
): Promise<readonly { readonly hash: string; readonly name: string }[]> {
  const { stdout } = await runCommand("git", ["ls-remote", "--", url, ...names], {
    deadlineSeconds: networkSeconds,
    env: gitEnvironment,
    errorCode: "usage",
    remedy: "Check the URL and your access to the repository, or name the commit with --commit.",
  });
  return stdout.split("\n").flatMap((line) => {
    const [, hash = "", name = ""] = /^([0-9a-f]{40}(?:[0-9a-f]{24})?)\t(.+)$/.exec(line) ?? [];
    return hash === "" ? [] : [{ hash, name }];
  });
}

/** A `usage` error of a repository. */
export function wrongRepository(message: string, remedy: string): SolsticeError {
  return new SolsticeError("usage", message, { remedy });
}
