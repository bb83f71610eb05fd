import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { parse } from "yaml";
import { runnerDirectory } from "../../../../src/guest/runner-files.ts";
import type { Machine } from "./machine.ts";

/** Time limit of a guest that a failed test leaves, in seconds. */
export const longestLifeSeconds = "3600";

/** The seed's #cloud-config, a file of the disc, which is padded with NULs. */
const cloudConfig = /#cloud-config\n[^\0]*/;

const runnerScript = join(runnerDirectory, "runner.sh");

/**
 * The guest's whole life: the runner and its child processes, in separate namespaces, so that all processes of a step
 * end with the guest.
 */
const power = ["--pid", "--fork", "--kill-child", "--mount-proc"];

interface SeedFile {
  readonly path: string;
  readonly permissions: string;
  readonly encoding: "gz+b64";
  readonly content: string;
}

/**
 * Starts the runner of an ISO seed as a process of this host: its job runs as in the machine, without a kernel, disk
 * or network of its own. Null when the seed contains no runner.
 */
export function startRunner(machine: Machine, seed: string): ChildProcess | null {
  const files = filesOf(seed);
  if (!files.some(({ path }) => path === runnerScript)) return null;
  const directory = `${machine.monitor}.files`;
  rmSync(directory, { recursive: true, force: true });
  const work = join(directory, "work");
  mkdirSync(work, { recursive: true, mode: 0o700 });
  for (const file of files) writeSeedFile(directory, file);
  const runner = join(directory, runnerScript);
  const conf = join(directory, runnerDirectory, "runner.conf");
  const life = `sh ${runner} run; sh ${runner} aftermath`;
  return spawn("unshare", [...power, "timeout", longestLifeSeconds, "sh", "-c", life], {
    cwd: work,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, LANG: "C.UTF-8", HOME: work, SOLSTICE_CONF: conf, SOLSTICE_WORK: work },
  });
}

function filesOf(seed: string): readonly SeedFile[] {
  const text = cloudConfig.exec(seed)?.[0];
  return text === undefined ? [] : ((parse(text) as { write_files?: SeedFile[] }).write_files ?? []);
}

function writeSeedFile(directory: string, { path, permissions, content }: SeedFile): void {
  const target = join(directory, path);
  mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
  const text = gunzipSync(Buffer.from(content, "base64")).toString();
  writeFileSync(target, atLoopback(text), { mode: Number.parseInt(permissions, 8) });
}

/** In a guest with its own network, the gateway's address leads to this machine's loopback. */
function atLoopback(text: string): string {
  return text.replace(/^(RUNNER_URL='?http:\/\/)[^:/]+/m, "$1127.0.0.1");
}
