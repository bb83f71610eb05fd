import { shownUrl } from "../../core/text/shown-url.ts";
import { gitIn, listRemote, queryGit, wrongRepository } from "./git-command.ts";

/** A branch or tag by its full name, and its commit. */
export interface ResolvedRef {
  /** Such as `refs/heads/main`; null for HEAD. */
  readonly name: string | null;
  readonly commit: string;
}

const fullCommit = /^[0-9a-f]{40}([0-9a-f]{24})?$/;

/** True when `text` is a full commit hash, SHA-1 or SHA-256, in lower case. */
export function isFullCommit(text: string): boolean {
  return fullCommit.test(text);
}

/** The full names that `ref` can stand for. git itself also accepts the end of a name. */
function fullNamesOf(ref: string): string[] {
  if (ref === "HEAD" || ref.startsWith("refs/")) return [ref];
  const partly = ref.includes("/") ? [`refs/${ref}`] : [];
  return [`refs/heads/${ref}`, `refs/tags/${ref}`, ...partly];
}

/** The commit of exactly `ref` (null: the default branch) in the repository at `url`. Throws `usage`. */
export async function resolveRemoteRef(url: string, ref: string | null): Promise<ResolvedRef> {
  const names = fullNamesOf(ref ?? "HEAD");
  const listed = await listRemote(
    url,
    names.flatMap((name) => [name, `${name}^{}`]),
  );
  const hashOf = new Map(listed.map(({ hash, name }) => [name, hash]));
  const found = names.flatMap((name) => {
    // An annotated tag is an object; `^{}` names its commit.
    const commit = hashOf.get(`${name}^{}`) ?? hashOf.get(name);
    return commit === undefined ? [] : [{ name: name === "HEAD" ? null : name, commit }];
  });
  const only = requireOne(found, ref ?? "HEAD", `The repository ${shownUrl(url)}`);
  if (only !== null) return only;
  const what = ref === null ? "default branch (HEAD)" : `branch or tag "${ref}"`;
  throw wrongRepository(`The repository ${shownUrl(url)} has no ${what}.`, "Name the commit with --commit.");
}

/** The commit of exactly `ref` in the checkout `directory`; without a local branch, of the fetched branch of `remote`. Throws `usage`. */
export async function resolveLocalRef(
  directory: string,
  ref: string,
  remote: string | null,
): Promise<ResolvedRef> {
  const checkout = `The checkout ${directory}`;
  const found = await lookUp(directory, fullNamesOf(ref));
  const only = requireOne(found, ref, checkout) ?? (await lookUpFetched(directory, ref, remote));
  if (only !== null) return only;
  throw wrongRepository(
    `${checkout} has no branch or tag "${ref}".`,
    "Fetch it, or name the commit with --commit.",
  );
}

async function lookUpFetched(directory: string, ref: string, remote: string | null) {
  const branch = ref.replace(/^(refs\/)?heads\//, "");
  if (remote === null || branch.startsWith("refs/")) return null;
  const [fetched] = await lookUp(directory, [`refs/remotes/${remote}/${branch}`]);
  return fetched === undefined ? null : { name: `refs/heads/${branch}`, commit: fetched.commit };
}

async function lookUp(directory: string, names: readonly string[]): Promise<ResolvedRef[]> {
  const found: ResolvedRef[] = [];
  for (const name of names) {
    const { exitCode, stdout } = await gitIn(directory, ["show-ref", "--verify", "--hash", "--", name], {
      exitCodes: [0, 1, 128],
    });
    if (exitCode !== 0) continue;
    const commit = await queryGit(directory, [
      "rev-parse",
      "--verify",
      "--quiet",
      `${stdout.trim()}^{commit}`,
    ]);
    if (commit !== null) found.push({ name, commit });
  }
  return found;
}

/** Refuses a name that belongs to two refs at different commits. */
function requireOne(found: readonly ResolvedRef[], ref: string, where: string): ResolvedRef | null {
  const [first, ...others] = found;
  if (first === undefined || others.every(({ commit }) => commit === first.commit)) return first ?? null;
  const names = found.map(({ name }) => name).join(" and ");
  throw wrongRepository(`${where} has ${names}: "${ref}" is ambiguous.`, "Write the full name with --ref.");
}
