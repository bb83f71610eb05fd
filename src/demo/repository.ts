import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../host/command.ts";

/** A bare repository with one commit. */
export interface DemoRepository {
  /** The directory of the bare repository. */
  readonly gitDir: string;
  /** The full hash of its only commit. */
  readonly commit: string;
}

/** Makes a bare git repository at `gitDir` whose one commit on `main` holds the files of `sourceDir`. */
export async function createRepository(sourceDir: string, gitDir: string): Promise<DemoRepository> {
  const workTree = await mkdtemp(join(tmpdir(), "solstice-repository-"));
  try {
    await cp(sourceDir, workTree, { recursive: true });
    const git = (...args: string[]) => runCommand("git", ["-C", workTree, ...args]);
    await git("init", "--quiet", "--initial-branch=main");
    await git("add", "--all");
    const author = ["-c", "user.name=Solstice demo", "-c", "user.email=demo@example.invalid"];
    await git(...author, "-c", "commit.gpgSign=false", "commit", "--quiet", "--message", "Count words");
    const { stdout } = await git("rev-parse", "HEAD");
    await runCommand("git", ["clone", "--quiet", "--bare", workTree, gitDir]);
    return { gitDir, commit: stdout.trim() };
  } finally {
    await rm(workTree, { recursive: true, force: true });
  }
}
