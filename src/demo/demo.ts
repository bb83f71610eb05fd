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

/** The guest's network. The demo's git server listens on its gateway, so that the guest can reach the server. */
const networkName = "default";

/** The parent of the demo's directory. QEMU's user must have search permission for it, which a directory under /root lacks. */
const temporaryRoot = "/var/tmp";

/** Exit code of setup-host.sh when it lacks permissions; the script has printed the command to run as root. */
const needsRootExitCode = 3;

/** The steps of the demo's job. */
const steps = [
  "look around=uname -a; nproc; free -m | head -2; git log -1 --oneline",
  "test=python3 -m unittest -v",
  "run=echo to be or not to be | python3 words.py",
];

/** Output and cancellation of the demo. */
export interface DemoOptions {
  /** Prints a line about the current action. */
  report(text: string): void;
  /** Aborted by Ctrl-C; the demo then cleans up and ends. */
  readonly signal: AbortSignal;
}

/**
 * Runs one job of a small repository in a fresh virtual machine. Installs what is missing first, and removes the machine
 * afterwards. Returns the job's exit code.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const { report, signal } = options;
  report("Preparing this host: installing missing packages, libvirt and the guests' network");
  await runScript([join(root, "scripts", "setup-host.sh")], signal);
  report("Preparing the guest image: Debian 12 with cloud-init and git, built once and kept");
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
  report(`Serving a git repository to the guest: ${git.url}/demo.git at ${commit.slice(0, 12)}`);

  report("Starting an orchestrator");
  const orchestrator = await startOrchestrator(directory, { image, gateway, gitPort: git.port });
  cleanUp.defer(() => orchestrator.stop());
  const exitCode = await runJob({ orchestrator, repositoryUrl: `${git.url}/demo.git`, commit }, options);
  const ids = await jobIds(orchestrator);
  await orchestrator.stop();
  for (const id of ids) await assertNothingLeft(directory, id);
  report("Removed everything: the domain, its overlay, its seed and the orchestrator");
  return exitCode;
}

async function runScript(command: readonly string[], signal: AbortSignal): Promise<void> {
  const child = spawn("sh", command, { stdio: ["ignore", 2, 2], signal });
  const [code] = await once(child, "exit");
  if (code === 0) return;
  if (code === needsRootExitCode) {
    throw new SolsticeError(
      "host_missing_tool",
      "This host lacks packages or settings that only root can install.",
      {
        remedy: "Run the command above, then the demo again.",
      },
    );
  }
  throw new SolsticeError("host_missing_tool", `${command[0]} ended with exit code ${code}.`, {
    remedy: "See the error of the script above, correct it, then run the demo again.",
  });
}

/** Builds the image if it is missing, and returns its path: the last line of the script's output. */
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
    remedy: "See the error in the lines above, correct it, then run the demo again.",
  });
}

async function networkGateway(): Promise<string> {
  const { stdout } = await runCommand("virsh", ["-c", "qemu:///system", "net-dumpxml", networkName]);
  const address = /<ip address='([0-9.]+)'/.exec(stdout)?.[1];
  if (address) return address;
  throw new SolsticeError("network_missing", `The libvirt network ${networkName} has no IPv4 address.`, {
    remedy: `Check the network: virsh net-dumpxml ${networkName}`,
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
      // Free ports, because the operator's own orchestrator may run on this host.
      ...["--api-listen", "127.0.0.1:0", "--runner-listen", `${parts.gateway}:0`],
      ...["--libvirt-network", networkName, "--boot-timeout", "10m"],
      // The guest may reach this port of the host, for the git server, and the runner endpoint.
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

/** Submits the job with the command that a person would use, and prints that command. */
async function runJob(job: DemoJob, { report, signal }: DemoOptions): Promise<number> {
  const args = ["enqueue", "--repo", job.repositoryUrl, "--commit", job.commit, "--runs-on", "debian-12"];
  for (const step of steps) args.push("--step", step);
  args.push("--wait");
  report(`solstice ${args.map(quoted).join(" ")}`);
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
    `The demo's guest job-${jobId} was not removed, or its files in ${files} were not.`,
    {
      remedy: `Remove the guest with: virsh destroy job-${jobId}; virsh undefine job-${jobId}`,
    },
  );
}
