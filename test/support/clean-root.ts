import { execFile } from "node:child_process";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));

/** Why no clean root can be made here, or false. For the `skip` option of a test. */
export const noCleanRoot = process.getuid?.() === 0 ? false : "only root can make a root of its own";

/** The environment of a fresh login, without any Node but the machine's own. */
const loginEnvironment = ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"];

/** npm's packages, which `npm ci` has fetched already. */
const npmCache = process.env.npm_config_cache ?? join(homedir(), ".npm");

/** What {@link runInCleanRoot} runs, and with which files. */
export interface CleanRootCommand {
  /** A shell script of the checkout. */
  readonly script: string;
  /** Files of this machine that the script gets as its arguments, as copies. */
  readonly files?: readonly string[];
  /** Further files of this machine, which are there as well, below `/tmp`. */
  readonly copies?: readonly string[];
  /** The checkout is there, at its path. Default: it cannot be reached. */
  readonly showsCheckout?: boolean;
  /** Words after the files. */
  readonly words?: readonly string[];
  /** Ends it after so many ms. */
  readonly timeoutMs: number;
}

/**
 * Runs a script as root in a root of its own (`clean-root.sh`). Throws, with all that it wrote, when it fails.
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
