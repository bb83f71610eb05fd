import { matchesPath, starProblem } from "./path-pattern.ts";
import { repositoryName } from "./repository-name.ts";

/** Which jobs may have a secret. */
export interface SecretPolicy {
  /** Patterns of names as of {@link repositoryName}. */
  readonly repositories: readonly string[];
  /** Patterns of full refs, such as `refs/heads/main`; `any`: every ref, and none. */
  readonly refs: readonly string[] | "any";
  /** Whether a job without a repository may have it. */
  readonly withoutRepository: boolean;
}

/** What a decision about a job's secrets depends on. */
export interface SecretAsker {
  readonly repoUrl: string | null;
  readonly ref: string | null;
  /** Whether it is of a pull request from a fork: whoever can open one would read what such a job is given. */
  readonly fromFork: boolean;
}

/** Whether a job gets a secret; `why` is a clause for a person that tells nothing about other jobs. */
export type SecretDecision =
  | { readonly kind: "given" }
  | { readonly kind: "withheld"; readonly why: string }
  | { readonly kind: "unknown" };

/**
 * Decides about one name that a job asks for; `policy` is undefined where there is no such secret. A fork's job gets
 * nothing, and does not even learn which names there are.
 */
export function decideSecret(policy: SecretPolicy | undefined, asker: SecretAsker): SecretDecision {
  if (asker.fromFork) return withheld("the job is of a fork's pull request");
  if (policy === undefined) return { kind: "unknown" };
  if (asker.repoUrl === null) {
    return policy.withoutRepository ? { kind: "given" } : withheld("the job has no repository");
  }
  const name = repositoryName(asker.repoUrl);
  if (name === null) return withheld("the URL of its repository has a form that no pattern matches");
  if (!policy.repositories.some((pattern) => matchesPath(pattern, name))) {
    return withheld(`it is not for repository ${name}`);
  }
  if (policy.refs === "any") return { kind: "given" };
  const { ref } = asker;
  if (ref === null) return withheld("the job names no ref");
  if (policy.refs.some((pattern) => matchesPath(pattern, ref))) return { kind: "given" };
  const fullName = ref.startsWith("refs/") ? "" : " (a full name such as refs/heads/main is needed)";
  return withheld(`it is not for ref ${ref}${fullName}`);
}

function withheld(why: string): SecretDecision {
  return { kind: "withheld", why };
}

/** What is wrong with a pattern of refs, to follow the word "needs"; null when nothing is. */
export function refPatternProblem(pattern: string): string | null {
  if (/^refs\/[^\s~^:?[\\\p{Cc}/*]+(\/[^\s~^:?[\\\p{Cc}/]+)+$|^refs\/\*\*$/u.test(pattern))
    return starProblem(pattern);
  return "a full ref or a pattern of it, such as refs/heads/main or refs/tags/v*";
}

/** Names that shells or the runner use for themselves: a step would not get such a secret, or would not run. */
const takenNames = new Set([
  ...["PATH", "HOME", "CI", "TERM", "SHELL", "USER", "LOGNAME", "PWD", "OLDPWD", "TMPDIR", "IFS", "ENV"],
  ...["BASH_ENV", "BASHOPTS", "SHELLOPTS", "PS1", "PS2", "PS4", "UID", "EUID", "GID", "PPID", "PGRP"],
  ...[
    "RANDOM",
    "SECONDS",
    "LINENO",
    "OPTARG",
    "OPTIND",
    "OPTERR",
    "FUNCNAME",
    "GROUPS",
    "DIRSTACK",
    "HOSTNAME",
  ],
  ...["COLUMNS", "LINES", "FPATH", "CDPATH", "HISTFILE", "HISTSIZE", "TMOUT", "REPLY", "_"],
]);

/** What is wrong with the name of a secret, to follow the word "needs"; null when nothing is. */
export function secretNameProblem(name: string): string | null {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,199}$/.test(name)) return "a name like DEPLOY_TOKEN";
  if (takenNames.has(name) || /^(SOLSTICE_|PLAN_|LD_|BASH_|KSH|USER_ID$|EPOCH)/.test(name)) {
    return "another name: this one is used by shells or by the runner";
  }
  return null;
}
