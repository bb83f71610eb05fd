import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { runCommand } from "../../host/command.ts";
import { buildPlan, type PlanInput } from "../plan.ts";
import { type RunnerAccess, runnerFiles } from "../runner-files.ts";
import { RunnerEndpoint } from "./runner-endpoint.ts";

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

function guestKind(name: string, shell: readonly string[], extraTools: string[]): GuestKind {
  const tools = [...commonTools, ...scriptTools, ...extraTools];
  return { name, shell, fillPath: (directory) => linkTools(directory, tools) };
}

async function linkTools(directory: string, tools: readonly string[]): Promise<void> {
  for (const tool of tools) {
    const { stdout, exitCode } = await runCommand("which", [tool], { acceptExitCodes: [0, 1] });
    if (exitCode === 0) await symlink(stdout.trim(), join(directory, tool));
  }
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

/** A runner under test, its endpoint, and its files. */
export interface RunningRunner {
  readonly endpoint: RunnerEndpoint;
  readonly process: ChildProcess;
  readonly pid: number;
  /** Where the runner works; the checkout is in `checkout`. */
  readonly work: string;
  readonly state: string;
  /** Its exit code, or null where a signal ended it. */
  readonly exit: Promise<number | null>;
}

/** What a test asks of {@link startRunner}. */
export interface StartOptions {
  readonly plan: Partial<PlanInput>;
  readonly kind?: GuestKind;
  readonly heartbeatSeconds?: number;
  /** Called before the runner starts, with the endpoint that listens already. */
  readonly prepare?: (endpoint: RunnerEndpoint) => void | Promise<void>;
  /** Makes the runner reach the endpoint, which listens on `port`, by another URL. */
  readonly connect?: (port: number) => Promise<string>;
  /** Brings the runner's files into its directory in another way. */
  readonly bring?: (home: string, access: RunnerAccess) => Promise<void>;
  /** Which script of the runner to start, with which arguments; default `runner.sh run`. */
  readonly command?: readonly [script: string, ...args: string[]];
  /** Where to work; default: a directory beside the runner's files. */
  readonly work?: string;
  /** For how long the guest is to be kept after a failure. */
  readonly holdSeconds?: number;
  /** The guest's line for shells. */
  readonly shellDevice?: string;
  /** Instead of the kernel's /proc/vmstat. */
  readonly vmstat?: string;
}

const paths = new Map<string, Promise<string>>();

/** The PATH of a kind of guest; made once for each. */
function pathOf(kind: GuestKind, root: string): Promise<string> {
  const known = paths.get(kind.name);
  if (known) return known;
  const made = (async () => {
    const directory = join(root, `path-${paths.size}`);
    await mkdir(directory);
    await kind.fillPath(directory);
    return directory;
  })();
  paths.set(kind.name, made);
  return made;
}

/** Everything the tests of one file start, to be ended with `close`. */
export class RunnerHarness {
  readonly #root: string;
  readonly #running: (Omit<RunningRunner, "endpoint"> & { readonly endpoint?: RunnerEndpoint })[] = [];

  private constructor(root: string) {
    this.#root = root;
  }

  static async create(): Promise<RunnerHarness> {
    return new RunnerHarness(await mkdtemp(join(tmpdir(), "solstice-runner-")));
  }

  /** An empty directory that `close` removes. */
  directory(): Promise<string> {
    return mkdtemp(join(this.#root, "d-"));
  }

  /** Starts the real runner as a process, with the plan of one small job unless told otherwise. */
  async start(options: StartOptions): Promise<RunningRunner> {
    const bootstrapToken = randomBytes(24).toString("base64url");
    const { heartbeatSeconds = 2, holdSeconds = 0 } = options;
    const plan = buildPlan({ ...smallJob, ...options.plan });
    const endpoint = new RunnerEndpoint({ plan, bootstrapToken, heartbeatSeconds, holdSeconds });
    await endpoint.listen();
    const home = await this.directory();
    const runnerUrl = (await options.connect?.(Number(new URL(endpoint.url).port))) ?? endpoint.url;
    await (options.bring ?? writeRunner)(home, { runnerUrl, bootstrapToken });
    await options.prepare?.(endpoint);
    const running = { ...(await this.#spawn(home, options)), endpoint };
    this.#running.push(running);
    return running;
  }

  /** Starts the real runner against a server of the test's own, which gives it its plan. */
  async startAt(
    access: RunnerAccess,
    options: Pick<StartOptions, "kind">,
  ): Promise<Omit<RunningRunner, "endpoint">> {
    const home = await this.directory();
    await writeRunner(home, access);
    const running = await this.#spawn(home, options);
    this.#running.push(running);
    return running;
  }

  /** Kills what still runs and removes every file. */
  async close(): Promise<void> {
    for (const { process, endpoint, pid } of this.#running) {
      if (process.exitCode === null && process.signalCode === null) killGroup(pid);
      await endpoint?.close();
    }
    paths.clear();
    await rm(this.#root, { recursive: true, force: true, maxRetries: 5 });
  }

  async #spawn(home: string, options: Omit<StartOptions, "plan">): Promise<Omit<RunningRunner, "endpoint">> {
    const kind = options.kind ?? (guestKinds[0] as GuestKind);
    const work = options.work ?? join(home, "work");
    const [shell = "/bin/sh", ...shellArgs] = kind.shell;
    const [script, ...args] = options.command ?? ["runner.sh", "run"];
    const child = spawn(shell, [...shellArgs, join(home, script), ...args], {
      cwd: home,
      detached: true,
      env: {
        PATH: await pathOf(kind, this.#root),
        HOME: home,
        SOLSTICE_CONF: join(home, "runner.conf"),
        SOLSTICE_WORK: work,
        ...(options.shellDevice && { SOLSTICE_SHELL_DEVICE: options.shellDevice }),
        ...(options.vmstat && { SOLSTICE_VMSTAT: options.vmstat }),
      },
      stdio: ["ignore", "ignore", "inherit"],
    });
    const exit = once(child, "exit").then(([code]) => code as number | null);
    return { process: child, pid: child.pid ?? 0, work, state: join(home, "state"), exit };
  }
}

async function writeRunner(home: string, access: RunnerAccess): Promise<void> {
  for (const file of runnerFiles(access))
    await writeFile(join(home, basename(file.path)), file.content, { mode: 0o600 });
}

const smallJob: PlanInput = {
  jobId: "job1",
  attempt: 1,
  repoUrl: null,
  commitSha: null,
  ref: null,
  env: {},
  steps: [{ name: "hello", run: "echo hello" }],
  artifacts: [],
  cleanupSeconds: 60,
  deadlineSeconds: 120,
};

/** Kills a process group; one that is gone is fine. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}

/** Steps with made-up names. */
export function stepsOf(...runs: string[]): { name: string; run: string }[] {
  return runs.map((run, at) => ({ name: `step ${at}`, run }));
}

/** Fails unless a `Finish` proves the output: all of it arrived, and it is what the guest says. */
export function assertProven(endpoint: RunnerEndpoint): void {
  const output = endpoint.bytes();
  assert.equal(endpoint.finish?.logLength, output.length);
  assert.equal(endpoint.finish?.logSha256, createHash("sha256").update(output).digest("hex"));
}

/** The events of steps, each as `INDEX:PHASE:EXIT_CODE`; phase 1 is the start, 2 the end. */
export function eventsOf(endpoint: RunnerEndpoint): string[] {
  return endpoint.events.map(({ index, phase, exitCode }) => `${index}:${phase}:${exitCode}`);
}
