import { chmodSync } from "node:fs";
import { silentLog } from "../src/core/log.ts";
import type { Hypervisor } from "../src/hypervisor/hypervisor.ts";
import { createLibvirtHypervisor } from "../src/hypervisor/libvirt/libvirt.ts";
import { randomJobId } from "../test/hypervisor-contract/contract.ts";
import { SYSTEM_URI, testSpec, writeTestSeed } from "../test/hypervisor-contract/libvirt/harness.ts";
import { gatewayAddress, guestImage, noLibvirt } from "../test/support/guests/libvirt.ts";
import type { Bench } from "./bench.ts";
import type { Figure } from "./report.ts";
import { median } from "./statistics.ts";

/** The cost of the firewall: the time to create and start a guest, alternately with and without the firewall. */
export async function measureFirewall(bench: Bench): Promise<Figure[]> {
  if (noLibvirt !== false) {
    bench.report(`firewall: skipped: ${noLibvirt}`);
    return [];
  }
  const imagePath = await guestImage("tiny");
  const [guarded, open] = [await prepared(bench, "on"), await prepared(bench, "off")];
  bench.report("firewall: guests with and without the firewall, alternately");
  const times: { on: number; off: number }[] = [];
  // The first measurement of each kind is not counted.
  const count = 1 + (bench.isQuick ? 2 : 20);
  while (times.length < count) {
    times.push({ on: await startOne(guarded, imagePath), off: await startOne(open, imagePath) });
  }
  for (const hypervisor of [guarded, open]) {
    await hypervisor.removeFirewall();
    await hypervisor.close();
  }
  const counted = times.slice(1);
  const of = (name: string, value: number, unit: string): Figure => ({
    section: "firewall",
    name,
    value,
    unit,
  });
  return [
    of("create + start, firewall on", median(counted.map(({ on }) => on)), "ms"),
    of("create + start, firewall off", median(counted.map(({ off }) => off)), "ms"),
    of("on beside off", median(counted.map(({ on, off }) => on / off)), "×"),
  ];
}

async function prepared(bench: Bench, firewall: "on" | "off"): Promise<Hypervisor> {
  const dataDir = bench.makeDirectory();
  chmodSync(dataDir, 0o711);
  const settings = { egress: () => ["open"] as const, lanAccess: [], hostPorts: [] };
  const hypervisor = createLibvirtHypervisor({
    ...{ uri: SYSTEM_URI, network: "default", virtType: "qemu", dataDir, ownerId: randomJobId() },
    ...{ writeSeed: writeTestSeed, log: silentLog, firewall: firewall === "on" ? settings : null },
  });
  await hypervisor.prepare();
  await hypervisor.ensureFirewall(`http://${await gatewayAddress()}:7411`);
  return hypervisor;
}

/** Milliseconds until a guest is created and started. The guest is removed afterwards. */
async function startOne(hypervisor: Hypervisor, imagePath: string): Promise<number> {
  const spec = testSpec({ jobId: randomJobId(), attempt: 1, behaviour: "brief", imagePath });
  const began = performance.now();
  try {
    await hypervisor.create(spec);
    await hypervisor.start(spec.jobId);
    return performance.now() - began;
  } finally {
    await hypervisor.remove(spec.jobId);
  }
}
