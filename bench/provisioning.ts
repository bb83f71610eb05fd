import { randomUUID } from "node:crypto";
import { chmodSync } from "node:fs";
import { guestImage, noLibvirt, virsh } from "../test/support/guests/libvirt.ts";
import { until } from "../test/support/until.ts";
import { type BareGuests, openBareGuests } from "./bare-guests.ts";
import type { Bench } from "./bench.ts";
import { type Daemon, startDaemon } from "./daemon.ts";
import type { Figure } from "./report.ts";
import { median } from "./statistics.ts";

const section = "provisioning";
const guestSize = { cpu: 1, ramMb: 128, diskGb: 1 };

/**
 * The time from a request until its domain runs, compared with only the necessary libvirt and qemu-img calls. The kinds
 * alternate in one run, so that other load of the machine affects all of them.
 */
export async function measureProvisioning(bench: Bench): Promise<Figure[]> {
  if (noLibvirt !== false) {
    bench.report(`provisioning: skipped: ${noLibvirt}`);
    return [];
  }
  const image = await guestImage("tiny");
  const directory = bench.makeDirectory();
  chmodSync(directory, 0o711);
  using bare = await openBareGuests({ directory, image, size: guestSize });
  const daemon = await startDaemon(bench, { imageMap: imageMap(image), flags: await libvirtFlags() });
  try {
    bench.report("provisioning: orchestrator, bare calls by RPC, bare calls by virsh, alternately");
    return figuresOf(await measureRounds(daemon, bare, bench.isQuick ? 2 : 15));
  } finally {
    await daemon.kill();
  }
}

interface Round {
  readonly orchestrator: number;
  readonly rpc: number;
  readonly virsh: number;
}

async function measureRounds(daemon: Daemon, bare: BareGuests, count: number): Promise<Round[]> {
  // The first round is not counted, because programs and code are read from disk.
  await measureRound(daemon, bare);
  const rounds: Round[] = [];
  while (rounds.length < count) rounds.push(await measureRound(daemon, bare));
  return rounds;
}

/** Measures each kind once. Each waits until the previous guest is removed. */
async function measureRound(daemon: Daemon, bare: BareGuests): Promise<Round> {
  const orchestrator = await provisionJob(daemon);
  const rpc = await bare.run("rpc");
  const byVirsh = await bare.run("virsh");
  return { orchestrator, rpc, virsh: byVirsh };
}

/** Milliseconds from the sending of a request until the store's record that the domain runs. */
async function provisionJob({ api }: Daemon): Promise<number> {
  const request = { request_id: randomUUID(), source: "bench", script: "sleep 600" };
  const began = Date.now();
  const { job } = await api.submit({ jobRequestJson: JSON.stringify(request) });
  const jobId = job?.id ?? "";
  const running = await until("the domain", async () => {
    const answer = await api.get({ jobId });
    return answer.job?.transitions.find(({ to }) => to === "booting") ?? null;
  });
  await api.cancel({ jobId });
  await until("the guest's end", async () => ((await api.get({ jobId })).job?.verdict ? true : null));
  return Number(running.atMs) - began;
}

function figuresOf(rounds: readonly Round[]): Figure[] {
  const of = (name: string, value: number, unit: string): Figure => ({ section, name, value, unit });
  const medianOf = (read: (round: Round) => number) => median(rounds.map(read));
  return [
    of(
      "request → domain running",
      medianOf((round) => round.orchestrator),
      "ms",
    ),
    of(
      "the same calls bare, by RPC",
      medianOf((round) => round.rpc),
      "ms",
    ),
    of(
      "the same calls bare, by virsh",
      medianOf((round) => round.virsh),
      "ms",
    ),
    of(
      "beside RPC",
      medianOf((round) => round.orchestrator / round.rpc),
      "× the floor",
    ),
    of(
      "beside virsh",
      medianOf((round) => round.orchestrator / round.virsh),
      "× the floor",
    ),
  ];
}

function imageMap(image: string): string {
  const { cpu, ramMb, diskGb } = guestSize;
  return `
default_label: tiny
images:
  tiny: { local_path: ${image}, nocloud: true, defaults: { cpu: ${cpu}, ram_mb: ${ramMb}, disk_gb: ${diskGb} } }
`;
}

async function libvirtFlags(): Promise<string[]> {
  const gateway = /<ip address='([0-9.]+)'/.exec(await virsh("net-dumpxml", "default"))?.[1] ?? "";
  return [
    ...["--hypervisor", "libvirt", "--libvirt-virt-type", "qemu", "--runner-listen", `${gateway}:0`],
    ...["--max-attempts", "1", "--stop-timeout", "1s"],
  ];
}
