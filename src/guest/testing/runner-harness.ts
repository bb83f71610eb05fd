import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type RunnerAccess, runnerFiles } from "../runner-files.ts";
import { buildPlan, type PlanInput } from "../seed/plan.ts";
import { type GuestKind, guestKinds } from "./guest-kinds.ts";
import { RunnerEndpoint } from "./runner-endpoint.ts";

/** A runner under test, with its endpoint and files. */
export interface RunningRunner {
  readonly endpoint: RunnerEndpoint;
  readonly process: ChildProcess;
  readonly pid: number;
  /** The runner's working directory; the checkout is in `checkout`. */
  readonly work: string;
  readonly state: string;
  /** The runner's exit code, or null when a signal ended it. */
  readonly exit: Promise<number | null>;
}

/** Options of {@link RunnerHarness.start}. */
export interface StartOptions {
  readonly plan: Partial<PlanInput>;
  readonly kind?: GuestKind;
  readonly heartbeatSeconds?: number;
  /** Called before the runner starts, with the listening endpoint. */
  readonly prepare?: (endpoint: RunnerEndpoint) => void | Promise<void>;
  /** Returns another URL for the endpoint, which listens on `port`. */
  readonly connect?: (port: number) => Promise<string>;
  /** Writes the runner's files to its directory in another way. */
  readonly bring?: (home: string, access: RunnerAccess) => Promise<void>;
  /** Script of the runner to start, with its arguments; default `runner.sh run`. */
  readonly command?: readonly [script: string, ...args: string[]];
  /** Working directory; default: a directory beside the runner's files. */
  readonly work?: string;
  /** Number of seconds to keep the guest after a failure. */
  readonly holdSeconds?: number;
  /** The guest's line for shells. */
  readonly shellDevice?: string;
  /** Limits that replace those of `runner.sh`, by name, so that a test need not wait half a minute for a timeout. */
  readonly limits?: Readonly<Record<string, number>>;
  /** Further variables of the runner's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Called with the runner's empty directory. */
  readonly furnish?: (home: string) => Promise<void>;
  /** File that replaces the kernel's /proc/vmstat. */
  readonly vmstat?: string;
}

const paths = new Map<string, Promise<string>>();

/** Returns the PATH of a kind of guest, created once for each kind. */
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

/** Starts processes for the tests of one file; `close` ends them all. */
export class RunnerHarness {
  readonly #root: string;
  readonly #running: (Omit<RunningRunner, "endpoint"> & { readonly endpoint?: RunnerEndpoint })[] = [];

  private constructor(root: string) {
    this.#root = root;
  }

  static async create(): Promise<RunnerHarness> {
    return new RunnerHarness(await mkdtemp(join(tmpdir(), "solstice-runner-")));
  }

  /** Returns an empty directory that `close` removes. */
  directory(): Promise<string> {
    return mkdtemp(join(this.#root, "d-"));
  }

  /** Starts the real runner as a process, by default with the plan of one small job. */
  async start(options: StartOptions): Promise<RunningRunner> {
    const bootstrapToken = randomBytes(24).toString("base64url");
    const { heartbeatSeconds = 2, holdSeconds = 0 } = options;
    const plan = buildPlan({ ...smallJob, ...options.plan });
    const endpoint = new RunnerEndpoint({ plan, bootstrapToken, heartbeatSeconds, holdSeconds });
    await endpoint.listen();
    const home = await this.directory();
    await options.furnish?.(home);
    const runnerUrl = (await options.connect?.(Number(new URL(endpoint.url).port))) ?? endpoint.url;
    await (options.bring ?? writeRunner)(home, { runnerUrl, bootstrapToken });
    await changeLimits(join(home, "runner.sh"), options.limits ?? {});
    await options.prepare?.(endpoint);
    const running = { ...(await this.#spawn(home, options)), endpoint };
    this.#running.push(running);
    return running;
  }

  /** Starts the real runner against the test's own server, which sends the plan. */
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

  /** Kills the running processes and removes every file. */
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
        ...options.env,
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

async function changeLimits(path: string, limits: Readonly<Record<string, number>>): Promise<void> {
  for (const [name, value] of Object.entries(limits)) {
    const script = await readFile(path, "utf8");
    const changed = script.replace(new RegExp(`^${name}=[0-9]+`, "m"), `${name}=${value}`);
    assert.notEqual(changed, script, `runner.sh has a limit ${name}`);
    await writeFile(path, changed);
  }
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

/** Kills a process group. Idempotent. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The group has ended already.
  }
}

/**
 * Waits until a process is dead, or fails after some seconds. A killed process accepts signals until its parent has
 * read its exit status, and the parent of an orphaned process is init, which may take a while: a zombie counts as dead.
 */
export async function untilDead(pid: number): Promise<void> {
  const giveUpAt = performance.now() + 5000;
  while (performance.now() < giveUpAt) {
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    if (!/^State:\s+[^ZX]/m.test(status)) return;
    await delay(20);
  }
  assert.fail(`process ${pid} still runs`);
}

/** Creates steps with generated names. */
export function stepsOf(...runs: string[]): { name: string; run: string }[] {
  return runs.map((run, at) => ({ name: `step ${at}`, run }));
}

/** Fails unless a `Finish` proves the output: all of it arrived, with the guest's checksum. */
export function assertProven(endpoint: RunnerEndpoint): void {
  const output = endpoint.bytes();
  assert.equal(endpoint.finish?.logLength, output.length);
  assert.equal(endpoint.finish?.logSha256, createHash("sha256").update(output).digest("hex"));
}

/** Returns the events of steps, each as `INDEX:PHASE:EXIT_CODE`; phase 1 is the start, 2 the end. */
export function eventsOf(endpoint: RunnerEndpoint): string[] {
  return endpoint.events.map(({ index, phase, exitCode }) => `${index}:${phase}:${exitCode}`);
}
