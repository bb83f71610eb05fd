import { matchesPath, starProblem } from "./path-pattern.ts";
import { repositoryName } from "./repository-name.ts";

/** The jobs that may have a secret. */
export interface SecretPolicy {
  /** Patterns of repository names, in the form of {@link repositoryName}. */
  readonly repositories: readonly string[];
  /** Patterns of full refs, such as `refs/heads/main`; `any`: every ref, and jobs without a ref. */
  readonly refs: readonly string[] | "any";
  /** True when a job without a repository may have the secret. */
  readonly withoutRepository: boolean;
}

/** The facts of a job that decide about its secrets. */
export interface SecretRequester {
  readonly repoUrl: string | null;
  readonly ref: string | null;
  /** True for a pull request from a fork: any person who can open one could read the secrets of such a job. */
  readonly fromFork: boolean;
}

/** Decision about a secret of a job; `why` is a clause for a person that reveals nothing about other jobs. */
export type SecretDecision =
  | { readonly kind: "given" }
  | { readonly kind: "withheld"; readonly why: string }
  | { readonly kind: "unknown" };

/**
 * Decides about one name that a job requests; `policy` is undefined when no such secret exists. A fork's job gets no
 * secret, and cannot even find out which names exist.
 */
export function decideSecret(policy: SecretPolicy | undefined, requester: SecretRequester): SecretDecision {
  if (requester.fromFork) return withheld("the job belongs to a fork's pull request");
  if (policy === undefined) return { kind: "unknown" };
  if (requester.repoUrl === null) {
    return policy.withoutRepository ? { kind: "given" } : withheld("the job has no repository");
  }
  const name = repositoryName(requester.repoUrl);
  if (name === null) return withheld("the URL of its repository has a form that no pattern matches");
  if (!policy.repositories.some((pattern) => matchesPath(pattern, name))) {
    return withheld(`the secret is not for repository ${name}`);
  }
  if (policy.refs === "any") return { kind: "given" };
  const { ref } = requester;
  if (ref === null) return withheld("the job names no ref");
  if (policy.refs.some((pattern) => matchesPath(pattern, ref))) return { kind: "given" };
  const fullName = ref.startsWith("refs/") ? "" : " (a full name such as refs/heads/main is needed)";
  return withheld(`the secret is not for ref ${ref}${fullName}`);
}

function withheld(why: string): SecretDecision {
  return { kind: "withheld", why };
}

/** The problem with a pattern of refs, to follow the word "needs"; null for a valid pattern. */
export function refPatternProblem(pattern: string): string | null {
  if (/^refs\/[^\s~^:?[\\\p{Cc}/*]+(\/[^\s~^:?[\\\p{Cc}/]+)+$|^refs\/\*\*$/u.test(pattern))
    return starProblem(pattern);
  return "a full ref or a pattern of it, such as refs/heads/main or refs/tags/v*";
}

/** Names that shells or the runner use themselves: a step would not get such a secret, or would not run. */
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

/** The problem with the name of a secret, to follow the word "needs"; null for a valid name. */
export function secretNameProblem(name: string): string | null {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,199}$/.test(name)) return "a name like DEPLOY_TOKEN";
  if (takenNames.has(name) || /^(SOLSTICE_|PLAN_|LD_|BASH_|KSH|USER_ID$|EPOCH)/.test(name)) {
    return "another name: this one is used by shells or by the runner";
  }
  return null;
}
