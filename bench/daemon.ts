import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { startChildOrchestrator } from "../src/demo/child-orchestrator.ts";
import { JobService } from "../src/gen/solstice/v1/jobs_pb.ts";
import { removeFirewallOf } from "../test/support/guests/firewall.ts";
import { solstice } from "../test/support/orchestrator.ts";
import type { Bench } from "./bench.ts";

/** The unit of times in `/proc/PID/stat`, in ms. */
const tickMs = 10;

/** An image map for the noop backend, which has no guests. */
export const noopImageMap = `
default_label: any
images:
  any: { local_path: /nonexistent/any.img, nocloud: true, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
`;

/** A running orchestrator, as a user would start it. */
export interface Daemon {
  readonly dataDir: string;
  readonly apiUrl: string;
  readonly api: Client<typeof JobService>;
  /** Processor time used so far, all threads, in ms. */
  cpuMs(): number;
  /** Resident memory now, in MB of 10^6 bytes: total (RSS), and with shared pages divided among their processes (PSS). */
  memoryMb(): { readonly rss: number; readonly pss: number };
  signal(signal: NodeJS.Signals): void;
  /** Kills the daemon. Its store keeps the state of its jobs. */
  kill(): Promise<void>;
}

/** Options of {@link startDaemon}. */
export interface DaemonOptions {
  readonly imageMap: string;
  readonly flags: readonly string[];
  /** The `solstice` command; default: this checkout's, from source. */
  readonly program?: string;
  /** Default: a new directory. */
  readonly dataDir?: string;
}

/** Starts an orchestrator on free ports of loopback, and waits until it serves. */
export async function startDaemon(bench: Bench, options: DaemonOptions): Promise<Daemon> {
  const dataDir = options.dataDir ?? bench.makeDirectory();
  chmodSync(dataDir, 0o711);
  const imageMapPath = join(dataDir, "images.yaml");
  writeFileSync(imageMapPath, options.imageMap);
  const child = await startChildOrchestrator({
    program: options.program ?? solstice,
    dataDir,
    args: ["--config", imageMapPath, "--api-listen", "127.0.0.1:0", ...options.flags],
  });
  const { pid } = JSON.parse(readFileSync(join(dataDir, "orchestrator.json"), "utf8")) as { pid: number };
  const transport = createConnectTransport({ baseUrl: child.apiUrl, httpVersion: "1.1" });
  return {
    dataDir,
    apiUrl: child.apiUrl,
    api: createClient(JobService, transport),
    cpuMs: () => readCpuMs(pid),
    memoryMb: () => ({ rss: readMemoryMb(pid, "Rss"), pss: readMemoryMb(pid, "Pss") }),
    signal: (signal) => void process.kill(pid, signal),
    async kill() {
      process.kill(pid, "SIGKILL");
      await child.stop();
      await removeFirewallOf(dataDir);
    },
  };
}

/** Flags of a daemon that runs `concurrency` jobs at once, each of which takes no time. */
export function noopFlags(concurrency: number): string[] {
  return [
    ...["--hypervisor", "noop", "--noop-delay-ms", "0", "--runner-listen", "127.0.0.1:0"],
    ...["--max-concurrency", String(concurrency)],
  ];
}

function readCpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The command's name may contain spaces; the fields after its closing bracket do not.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}

function readMemoryMb(pid: number, kind: "Rss" | "Pss"): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const kib = new RegExp(`^${kind}:\\s+(\\d+) kB`, "m").exec(rollup)?.[1];
  return (Number(kib) * 1024) / 1e6;
}
