import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SolsticeError } from "../core/errors.ts";
import { runCommand } from "../host/command.ts";
import { type ChildOrchestrator, startChildOrchestrator } from "./child-orchestrator.ts";
import { startGitServer } from "./git-server.ts";
import { commitFiles, readFiles } from "./repository.ts";

/** The root of this project or package. */
const root = fileURLToPath(new URL("../..", import.meta.url));
const program = join(root, "bin", "solstice");

/** The network whose gateway the demo's git server listens on, so that the guest reaches it. */
const networkName = "default";

/** The demo's files: below a directory that QEMU's user can pass through, which one under /root would not be. */
const temporaryRoot = "/var/tmp";

/** Exit code of setup-host.sh when it may not do it all itself, and has printed the line that does. */
const handedOver = 3;

/** What the repository's job does. */
const steps = [
  "look around=uname -a; nproc; free -m | head -2; git log -1 --oneline",
  "test=python3 -m unittest -v",
  "run=echo to be or not to be | python3 words.py",
];

/** How the demo talks to whoever runs it. */
export interface DemoOptions {
  /** Writes a line about what is being done. */
  say(text: string): void;
  /** Aborted by Ctrl-C: the demo then cleans up and ends. */
  readonly signal: AbortSignal;
}

/**
 * Runs one job of a small repository in a fresh virtual machine, from whatever is installed to nothing left behind.
 * Returns the job's exit code.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const { say, signal } = options;
  say("Preparing this host: packages, libvirt and the guests' network, where they are missing");
  await runScript([join(root, "scripts", "setup-host.sh")], signal);
  say("Preparing the guest image: Debian 12 with cloud-init and git, built once and kept");
  const image = await buildImage(signal);

  await using cleanUp = new AsyncDisposableStack();
  const directory = await mkdtemp(join(temporaryRoot, "solstice-demo-"));
  cleanUp.defer(() => rm(directory, { recursive: true, force: true }));
  await chmod(directory, 0o711);
  const gateway = await networkGateway();
  const files = await readFiles(join(root, "examples", "demo-repository"));
  const commit = await commitFiles(join(directory, "demo.git"), files);
  const git = await startGitServer(directory, { host: gateway });
  cleanUp.defer(() => git.close());
  say(`Serving a git repository to the guest: ${git.url}/demo.git at ${commit.slice(0, 12)}`);

  say("Starting an orchestrator");
  const orchestrator = await startOrchestrator(directory, { image, gateway, gitPort: git.port });
  cleanUp.defer(() => orchestrator.stop());
  const exitCode = await runJob({ orchestrator, repositoryUrl: `${git.url}/demo.git`, commit }, options);
  const ids = await jobIds(orchestrator);
  await orchestrator.stop();
  for (const id of ids) await assertNothingLeft(directory, id);
  say("Nothing is left behind: the domain, its overlay, its seed and the orchestrator are gone");
  return exitCode;
}

async function runScript(command: readonly string[], signal: AbortSignal): Promise<void> {
  const child = spawn("sh", command, { stdio: ["ignore", 2, 2], signal });
  const [code] = await once(child, "exit");
  if (code === 0) return;
  if (code === handedOver) {
    throw new SolsticeError("host_missing_tool", "This host lacks something that only root can install.", {
      remedy: "Run the line above, then the demo again.",
    });
  }
  throw new SolsticeError("host_missing_tool", `${command[0]} ended with exit code ${code}.`, {
    remedy: "It said above what to do; then run the demo again.",
  });
}

/** Builds the image, or finds it built, and returns its path: the last line that the script prints. */
async function buildImage(signal: AbortSignal): Promise<string> {
  const child = spawn(join(root, "images", "build.sh"), ["debian"], { stdio: ["ignore", "pipe", 2], signal });
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (text) => {
    output += text;
  });
  const [code] = await once(child, "close");
  const path = output.trimEnd().split("\n").at(-1);
  if (code === 0 && path) return path;
  throw new SolsticeError("image_unavailable", `The guest image could not be built (exit code ${code}).`, {
    remedy: "The lines above say why; then run the demo again.",
  });
}

async function networkGateway(): Promise<string> {
  const { stdout } = await runCommand("virsh", ["-c", "qemu:///system", "net-dumpxml", networkName]);
  const address = /<ip address='([0-9.]+)'/.exec(stdout)?.[1];
  if (address) return address;
  throw new SolsticeError("network_missing", `The libvirt network ${networkName} has no IPv4 address.`, {
    remedy: `Look at: virsh net-dumpxml ${networkName}`,
  });
}

async function startOrchestrator(
  directory: string,
  parts: { image: string; gateway: string; gitPort: number },
): Promise<ChildOrchestrator> {
  const mapPath = join(directory, "images.yaml");
  await writeFile(mapPath, imageMap(parts.image));
  return startChildOrchestrator({
    program,
    dataDir: directory,
    args: [
      ...["--config", mapPath, "--hypervisor", "libvirt", "--max-concurrency", "1"],
      // Free ports: an orchestrator of the operator's own may run on this host.
      ...["--api-listen", "127.0.0.1:0", "--runner-listen", `${parts.gateway}:0`],
      ...["--libvirt-network", networkName, "--boot-timeout", "10m"],
      // The one port of this host, beside the runner endpoint's, that the demo's guest may call.
      ...["--guest-host-ports", String(parts.gitPort)],
    ],
  });
}

function imageMap(image: string): string {
  return [
    "default_label: debian-12",
    "images:",
    "  debian-12:",
    `    local_path: ${JSON.stringify(image)}`,
    "    nocloud: true",
    "    defaults: { cpu: 2, ram_mb: 1024, disk_gb: 8 }",
    "",
  ].join("\n");
}

interface DemoJob {
  readonly orchestrator: ChildOrchestrator;
  readonly repositoryUrl: string;
  readonly commit: string;
}

/** Submits the job with the command that a person would use, and shows that command. */
async function runJob(job: DemoJob, { say, signal }: DemoOptions): Promise<number> {
  const args = ["enqueue", "--repo", job.repositoryUrl, "--commit", job.commit, "--runs-on", "debian-12"];
  for (const step of steps) args.push("--step", step);
  args.push("--wait");
  say(`solstice ${args.map(quoted).join(" ")}`);
  const child = spawn(program, [...args, "--api-url", job.orchestrator.apiUrl], {
    stdio: ["ignore", "inherit", "inherit"],
    signal,
    killSignal: "SIGINT",
  });
  const [code] = await once(child, "exit");
  return code ?? 130;
}

function quoted(text: string): string {
  return /^[\w./:=-]+$/.test(text) ? text : `'${text}'`;
}

/** The ids of all jobs of the demo's orchestrator. */
async function jobIds({ apiUrl }: ChildOrchestrator): Promise<string[]> {
  const { stdout } = await runCommand(program, ["jobs", "--json", "--api-url", apiUrl]);
  const { jobs }: { jobs: { id: string }[] } = JSON.parse(stdout);
  return jobs.map(({ id }) => id);
}

async function assertNothingLeft(directory: string, jobId: string): Promise<void> {
  const { stdout } = await runCommand("virsh", ["-c", "qemu:///system", "list", "--all", "--name"]);
  const files = join(directory, "guests", `job-${jobId}`);
  if (!stdout.split("\n").includes(`job-${jobId}`) && !existsSync(files)) return;
  throw new SolsticeError(
    "internal",
    `The demo's guest job-${jobId} is still there, or its files in ${files}.`,
    {
      remedy: `Remove them with: virsh destroy job-${jobId}; virsh undefine job-${jobId}`,
    },
  );
}
