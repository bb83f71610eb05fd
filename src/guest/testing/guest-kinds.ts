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
  /** Fills the directory that is the guest's whole PATH. */
  readonly fillPath: (directory: string) => Promise<void>;
}

/** Programs that the runner needs besides a client, a base64 tool and git. */
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
/** Programs that the tests' scripts use. */
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

/** The kinds of guests for tests of the runner. */
export const guestKinds: readonly GuestKind[] = [
  guestKind("dash and curl", ["/bin/dash"], ["curl", "base64", "zstd"]),
  guestKind("bash and GNU wget", ["/bin/bash", "--posix"], ["wget", "base64"]),
  guestKind("dash, curl and openssl", ["/bin/dash"], ["curl", "openssl"]),
  guestKind("dash, curl and nothing for base64 but awk", ["/bin/dash"], ["curl"]),
  { name: "busybox alone", shell: ["/bin/busybox", "ash"], fillPath: fillWithBusybox },
  // The sh of illumos, and the only one here without `local`.
  guestKind("ksh93 and curl", ["/bin/ksh93"], ["curl", "base64"]),
];

/**
 * Programs that are /bin/sh on some system. yash is left out, because in the locale C it reads no byte above 127, while
 * a plan may have any; and posh, because its main process ends in the middle of a job.
 */
const shells: readonly (readonly [program: string, ...options: string[]])[] = [
  ["/bin/dash"],
  ["/bin/bash"],
  ["/bin/bash", "--posix"],
  ["/bin/busybox", "ash"],
  ["/bin/mksh"],
  ["/bin/ksh93"],
];

/** Every shell with every client; the other tools are the default ones. */
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

/** Reason why a kind of guest cannot be tested on this host, or false. */
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
 * Guests in which a test runs: one available kind, chosen by the run's seed, and in an exhaustive run all of `kinds`.
 * `runner-shells.system.test.ts` runs the whole matrix in every run.
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

/** Left out, so that a test cannot stop the machine that it runs on. */
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
