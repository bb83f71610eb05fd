import { execFile } from "node:child_process";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));

/** The reason why no clean root can be made here, or false. For the `skip` option of a test. */
export const noCleanRoot = process.getuid?.() === 0 ? false : "only root can make a clean root";

/** The environment of a fresh login, with only the Node that is installed on the machine. */
const loginEnvironment = ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"];

/** npm's cache with the packages that `npm ci` has fetched. */
const npmCache = process.env.npm_config_cache ?? join(homedir(), ".npm");

/** The program and the files for {@link runInCleanRoot}. */
export interface CleanRootCommand {
  /** A shell script of the checkout. */
  readonly script: string;
  /** Files of this machine; the script gets the paths of their copies as arguments. */
  readonly files?: readonly string[];
  /** More files of this machine, which are copied to `/tmp`. */
  readonly copies?: readonly string[];
  /** True: the checkout is visible at its path. Default: it is not accessible. */
  readonly showsCheckout?: boolean;
  /** More arguments, after the files. */
  readonly words?: readonly string[];
  /** Time limit in ms. */
  readonly timeoutMs: number;
}

/**
 * Runs a script as root in a clean root (`clean-root.sh`). When the script fails, throws an error that contains all
 * its output.
 */
export async function runInCleanRoot(command: CleanRootCommand): Promise<string> {
  const files = command.files ?? [];
  const inside = (file: string) => `/tmp/${basename(file)}`;
  const copied = [command.script, ...files, ...(command.copies ?? [])];
  const copies = copied.flatMap((file) => ["--copy", `${file}:${inside(file)}`]);
  const checkout = command.showsCheckout ? ["--bind", `${root}:${root}`] : ["--hide", root];
  const { stdout } = await run(
    join(root, "test/support/clean-root.sh"),
    [
      ...[...checkout, "--bind", `${npmCache}:/root/.npm`, ...copies, "--"],
      ...["/usr/bin/env", "-i", ...loginEnvironment, "sh", inside(command.script)],
      ...[...files.map(inside), ...(command.words ?? [])],
    ],
    { timeout: command.timeoutMs, killSignal: "SIGKILL", maxBuffer: 16 * 1024 * 1024 },
  );
  return stdout;
}

/** Packs the checkout into a directory and returns the path of the tarball. */
export async function packCheckout(directory: string): Promise<string> {
  const { stdout } = await run(join(root, "scripts/pack.sh"), [directory]);
  return stdout.trimEnd();
}
