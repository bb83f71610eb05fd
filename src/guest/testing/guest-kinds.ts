import { accessSync, constants } from "node:fs";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { isExhaustive, sample } from "../../../test/support/sampling.ts";
import { runCommand } from "../../host/command.ts";
import { findProgram } from "../../host/find-program.ts";

/** A kind of guest: its shell, and what its PATH offers. */
export interface GuestKind {
  readonly name: string;
  readonly shell: readonly string[];
  /** Makes the directory that is the whole PATH. */
  readonly fillPath: (directory: string) => Promise<void>;
}

/** What the runner needs of a system besides a client, a base64 tool and git. */
const commonTools = [
  ...[
    "awk",
    "cat",
    "chmod",
    "date",
    "dd",
    "env",
    "find",
    "fold",
    "grep",
    "head",
    "mkdir",
    "mkfifo",
    "nohup",
    "od",
    "rm",
  ],
  ...["stty", "tty"],
  ...["sed", "setsid", "sha256sum", "sleep", "sort", "timeout", "tr", "wc", "git", "tar", "gzip", "stat"],
];
/** What the scripts of the tests use. */
const scriptTools = [
  "pkill",
  "seq",
  "sh",
  "touch",
  "true",
  "yes",
  "ln",
  "perl",
  "printf",
  "test",
  "tail",
  "bash",
  "ps",
];

/** The guests the runner is tried in. */
export const guestKinds: readonly GuestKind[] = [
  guestKind("dash and curl", ["/bin/dash"], ["curl", "base64", "zstd"]),
  guestKind("bash and GNU wget", ["/bin/bash", "--posix"], ["wget", "base64"]),
  guestKind("dash, curl and openssl", ["/bin/dash"], ["curl", "openssl"]),
  guestKind("dash, curl and nothing for base64 but awk", ["/bin/dash"], ["curl"]),
  { name: "busybox alone", shell: ["/bin/busybox", "ash"], fillPath: fillWithBusybox },
  // The sh of illumos, and the one here without `local`.
  guestKind("ksh93 and curl", ["/bin/ksh93"], ["curl", "base64"]),
];

/**
 * What /bin/sh is somewhere. Not yash, which in the locale C reads no byte above 127, while a plan may have any; and not
 * posh, whose main process ends in the middle of a job.
 */
const shells: readonly (readonly [program: string, ...options: string[]])[] = [
  ["/bin/dash"],
  ["/bin/bash"],
  ["/bin/bash", "--posix"],
  ["/bin/busybox", "ash"],
  ["/bin/mksh"],
  ["/bin/ksh93"],
];

/** Every shell with every client; the other tools are the usual ones. */
export const shellsAndClients: readonly GuestKind[] = shells.flatMap((shell) => {
  const name = shell.join(" ").replace("/bin/", "");
  return [
    guestKind(`${name} and curl`, shell, ["curl", "base64"]),
    guestKind(`${name} and GNU wget`, shell, ["wget", "base64"]),
    {
      name: `${name} and the wget of busybox`,
      shell,
      fillPath: async (directory) => {
        await linkTools(directory, [...commonTools, ...scriptTools, "base64"]);
        await symlink("/bin/busybox", join(directory, "wget"));
      },
    },
  ];
});

/** Why a kind of guest cannot be tried on this host, or false. */
export function missingFor(kind: GuestKind): string | false {
  const program = kind.shell[0] ?? "";
  try {
    accessSync(program, constants.X_OK);
    return false;
  } catch {
    return `${program} is not installed`;
  }
}

/**
 * The guests that a test runs in: one of those that this host has, chosen by the run's seed, and in an exhaustive run all
 * of `kinds`. `runner-shells.system.test.ts` runs the whole matrix in every run.
 */
export function guestsFor(purpose: string, kinds: readonly GuestKind[] = guestKinds): readonly GuestKind[] {
  const candidates = isExhaustive ? kinds : kinds.filter((kind) => missingFor(kind) === false);
  return sample(`guest for ${purpose}`, candidates, 1);
}

function guestKind(name: string, shell: readonly string[], extraTools: string[]): GuestKind {
  const tools = [...commonTools, ...scriptTools, ...extraTools];
  return { name, shell, fillPath: (directory) => linkTools(directory, tools) };
}

async function linkTools(directory: string, tools: readonly string[]): Promise<void> {
  await Promise.all(
    tools.map(async (tool) => {
      const program = await findProgram(tool, process.env.PATH ?? "");
      if (program !== null) await symlink(program, join(directory, tool));
    }),
  );
}

/** A test must not be able to take the machine down that it runs on. */
const dangerousApplets = new Set(["halt", "init", "poweroff", "reboot"]);

async function fillWithBusybox(directory: string): Promise<void> {
  const { stdout } = await runCommand("/bin/busybox", ["--list"]);
  await Promise.all(
    stdout
      .trim()
      .split("\n")
      .filter((applet) => !dangerousApplets.has(applet))
      .map((applet) => symlink("/bin/busybox", join(directory, applet))),
  );
  await linkTools(directory, ["git", "pkill", "bash", "perl"]);
}
