import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "../host/command.ts";
import { gitEnvironment } from "../host/git-environment.ts";

/** The files directly in `directory`, without subdirectories: name to content, as text. */
export async function readFiles(directory: string): Promise<Record<string, string>> {
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
  const files = names.map(async (name) => [name, await readFile(join(directory, name), "utf8")]);
  return Object.fromEntries(await Promise.all(files));
}

/**
 * Creates a repository at `path` with one commit of `files` (relative path to content) on the branch `main`, and returns the
 * commit's hash. A second call adds a commit.
 */
export async function commitFiles(
  path: string,
  files: Readonly<Record<string, string>>,
  objectFormat: "sha1" | "sha256" = "sha1",
): Promise<string> {
  const git = async (args: string[], input = "") => {
    const result = await runCommand("git", ["-c", "safe.directory=*", "--git-dir", path, ...args], {
      input,
      env: gitEnvironment,
    });
    return result.stdout.trim();
  };
  const form = ["--initial-branch=main", `--object-format=${objectFormat}`];
  await runCommand("git", ["init", "--quiet", "--bare", ...form, path], { env: gitEnvironment });
  const parent = await git(["for-each-ref", "--format=%(objectname)", "refs/heads/main"]);
  const stream = fastImport(files, parent);
  await git(["fast-import", "--quiet", "--force"], stream);
  return git(["rev-parse", "refs/heads/main"]);
}

/** The commit as input of `git fast-import`, which needs no working tree, no user configuration and only one process. */
function fastImport(files: Readonly<Record<string, string>>, parent: string): string {
  const message = "Commit some files";
  const lines = [
    "commit refs/heads/main",
    "committer Solstice <solstice@example.invalid> 1700000000 +0000",
    `data ${Buffer.byteLength(message)}\n${message}`,
  ];
  if (parent !== "") lines.push(`from ${parent}`);
  for (const [path, content] of Object.entries(files)) {
    lines.push(`M 100644 inline ${path}`, `data ${Buffer.byteLength(content)}\n${content}`);
  }
  return `${lines.join("\n")}\n`;
}
