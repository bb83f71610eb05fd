import { randomUUID } from "node:crypto";
import { SolsticeError } from "../../core/errors.ts";
import { type JobRequest, parseJobRequest } from "../../core/request/job-request.ts";
import type { CliContext } from "../context.ts";
import { type JobFile, placeName, readJobFile } from "./job-file.ts";
import { chooseScript, parseEnvironment, type ScriptFlags } from "./job-script.ts";
import { chooseRepository, type RepositoryChoice, type RepositoryFlags } from "./repository.ts";

/** The flags of `enqueue` that form the request. */
export interface RequestFlags extends RepositoryFlags, ScriptFlags {
  /** True when `repo` was given, instead of its default. */
  readonly isRepoGiven: boolean;
  readonly file?: string;
  readonly runsOn?: string;
  readonly size?: string;
  readonly env?: readonly string[];
  readonly secret?: readonly string[];
  readonly timeout?: number;
  readonly holdOnFailure?: number;
  readonly priority?: number;
  readonly requestId?: string;
}

/** The request from flags, job file and checkout, with warnings for the person. */
export async function buildRequest(
  flags: RequestFlags,
  context: CliContext,
): Promise<{ request: JobRequest; warnings: readonly string[] }> {
  const file = flags.file === undefined ? null : await readFileOf(flags, context);
  const script = file === null ? await chooseScript(flags, context) : {};
  const env = parseEnvironment(flags.env ?? []);
  const { request: repository, rest, warnings } = await chooseRepositoryOf(flags, file?.document ?? {});
  const merged = {
    request_id: randomUUID(),
    source: "cli",
    submitted_at: new Date(context.now()).toISOString(),
    ...rest,
    ...repository,
    ...script,
    env: mergeEnv(rest.env, env),
    ...(flags.secret !== undefined && { secrets: mergeSecrets(rest.secrets, flags.secret) }),
    ...(flags.requestId !== undefined && { request_id: flags.requestId }),
    ...(flags.runsOn !== undefined && { runs_on: flags.runsOn }),
    ...(flags.size !== undefined && { size: flags.size }),
    ...(flags.timeout !== undefined && { timeout_seconds: flags.timeout }),
    ...(flags.holdOnFailure !== undefined && { hold_on_failure_seconds: flags.holdOnFailure }),
    ...(flags.priority !== undefined && { priority: flags.priority }),
  };
  const flagOf = (path: readonly PropertyKey[]) => flagOfPlace(path, merged, flags);
  const request =
    file === null ? parseJobRequest(merged, (path) => placeName(path, flagOf)) : file.parse(merged, flagOf);
  return { request, warnings };
}

/** The flag that set a part of the request; undefined if none did. */
function flagOfPlace(
  [key, index, ...inner]: readonly PropertyKey[],
  merged: Readonly<Record<string, unknown>>,
  flags: RequestFlags,
): string | undefined {
  if (key === "env" && !Object.hasOwn(parseEnvironment(flags.env ?? []), String(index))) return undefined;
  if (key === "steps" && inner.length > 0 && Array.isArray(merged.steps)) {
    return merged.steps[Number(index)]?.always ? given(flags, "alwaysStep") : given(flags, "step");
  }
  return flagsByKey[String(key)]?.map((name) => given(flags, name)).find((flag) => flag !== undefined);
}

function given(flags: RequestFlags, name: keyof RequestFlags): string | undefined {
  if (flags[name] === undefined || (name === "repo" && !flags.isRepoGiven)) return undefined;
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** The flags that can set each part of a request. */
const flagsByKey: Readonly<Record<string, readonly (keyof RequestFlags)[]>> = {
  ...{ script: ["script", "scriptFile"], steps: ["step", "alwaysStep"], env: ["env"], secrets: ["secret"] },
  ...{ repo_url: ["repoUrl", "repo"], commit_sha: ["commit"], ref: ["ref"] },
  ...{ runs_on: ["runsOn"], size: ["size"], timeout_seconds: ["timeout"], priority: ["priority"] },
  ...{ hold_on_failure_seconds: ["holdOnFailure"], request_id: ["requestId"] },
};

function readFileOf(flags: RequestFlags, context: CliContext): Promise<JobFile> {
  const scriptFlags = [flags.script, flags.scriptFile, flags.step, flags.alwaysStep, flags.stepTimeout];
  const isContradicted = scriptFlags.some((flag) => flag !== undefined);
  if (isContradicted) {
    throw new SolsticeError(
      "usage",
      "A job file names the steps to run: do not give --script, --script-file or steps with --file.",
    );
  }
  return readJobFile(flags.file ?? "", context);
}

const repositoryKeys = ["repo_url", "commit_sha", "ref", "repo_owner", "repo_name"];

/**
 * The repository to check out, and the rest of the file. A repository in the flags replaces the file's repository. If the
 * file names a branch and no commit, the branch is resolved. Without flags and file, the current checkout is used.
 */
async function chooseRepositoryOf(
  flags: RequestFlags,
  document: JobFile["document"],
): Promise<RepositoryChoice & { rest: Record<string, unknown> }> {
  const { repo_url: url, commit_sha: commit, ref } = document;
  if (flags.isRepoGiven || flags.repoUrl !== undefined) {
    const others = Object.entries(document).filter(([key]) => !repositoryKeys.includes(key));
    return { ...(await chooseRepository(flags)), rest: Object.fromEntries(others) };
  }
  const rest = { ...document };
  // A value that is not a text is rejected later, by the check of the whole request, which reports its place in the file.
  const isReadable = [url, commit, ref].every((value) => value === undefined || typeof value === "string");
  if (!isReadable) return { request: {}, warnings: [], rest };
  const chosen = await chooseRepository({
    ...(typeof commit === "string" && commit !== "" && { commit }),
    ...(typeof ref === "string" && { ref }),
    ...flags,
    // Some programs send an empty URL for a job without a repository.
    ...(typeof url === "string" && url !== "" && { repo: url }),
  });
  return { ...chosen, rest };
}

/** Adds the variables of the command line, which have priority. A value that is no map is rejected later, by the check of the whole request. */
function mergeEnv(ofFile: unknown, given: Readonly<Record<string, string>>): unknown {
  if (ofFile === undefined) return given;
  if (typeof ofFile !== "object" || ofFile === null || Array.isArray(ofFile)) return ofFile;
  return { ...ofFile, ...given };
}

/**
 * Appends the secrets' names from the command line to those of the file. A value of the file that is not a list is returned
 * unchanged: the check of the whole request rejects it.
 */
function mergeSecrets(ofFile: unknown, given: readonly string[]): unknown {
  if (ofFile === undefined) return given;
  return Array.isArray(ofFile) ? [...ofFile, ...given] : ofFile;
}
