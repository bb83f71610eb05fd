/**
 * Tests from inside real guests what a hostile job can reach and pretend to be. docs/reference/security.md names each
 * test by its claim.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { reachCheck } from "../../src/cli/doctor/reach-checks.ts";
import { loadOrchestratorConfig } from "../../src/config/load-orchestrator-config.ts";
import {
  claimAddress,
  claimSpanningTree,
  ownerOfAddress,
  type Peer,
  pretendAddresses,
  pretendCards,
  reachEverything,
  rootOfBridge,
  type Scene,
  setScene,
  startActor,
  startPeer,
  tables,
  together,
  withPeer,
} from "../support/guests/isolation.ts";
import { noLibvirt } from "../support/guests/libvirt.ts";
import { untilEnd } from "../support/jobs.ts";
import { startOrchestrator } from "../support/orchestrator.ts";
import { sample } from "../support/sampling.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);

const claims: readonly [claim: string, ...probes: [name: string, expected: string][]][] = [
  ["the runner endpoint, DNS and DHCP work", ["runner", "open"], ["dns", "open"], ["dhcp", "open"]],
  ["a port of the host is open only where the operator listed it", ["allowed-host-port", "open"]],
  ["other ports of the host are closed", ["other-host-port", "closed"], ["ping-of-host", "closed"]],
  ["other addresses of the host are closed", ["other-host-address", "closed"]],
  ["the operator's LAN is closed, and the internet open", ["lan", "closed"], ["internet", "open"]],
  [
    "guests do not reach each other",
    ["peer-http", "closed"],
    ["peer-ping", "closed"],
    ["peer-arp", "closed"],
  ],
  ["nor by way of the host", ["peer-routed", "closed"]],
  ["a foreign address is of no use", ["foreign-ip", "closed"], ["peer-ip", "closed"]],
  ["its own identity still works", ["own-identity-again", "open"]],
];

/** Restricted egress settings of an image. One of them is tested: each needs a guest. */
const egresses = [
  { label: "sealed", lan: "closed", claim: "egress: none allows only the runner endpoint, DNS and DHCP" },
  { label: "listed", lan: "open", claim: "egress: a list allows only its destinations" },
] as const;

function egressProbes({ gateway, neighbour, otherPort }: Scene): string[] {
  return together([
    'say runner http "$RUNNER"',
    "say dns dns",
    `say lan http ${neighbour.lanAddress}:${neighbour.port}`,
    `say internet http ${neighbour.publicAddress}:${neighbour.port}`,
    `say other-host-port http ${gateway}:${otherPort}`,
  ]);
}

/** Requests the peer's lease from DHCP, and uses it; then requests its own again. */
function stealLease(): string[] {
  return [
    'say requested-lease udhcpc -i eth0 -n -q -t 3 -T 2 -s /bin/true -x "0x3d:01$(echo "$PEER_MAC" | tr -d :)"',
    'pretend stolen-lease "$MAC" "$PEER"',
    "udhcpc -i eth0 -n -q -t 10 -T 2 -s /etc/udhcpc/script >/dev/null 2>&1",
    "echo stolen",
  ];
}

/** Uses more disk and memory than its size, then prints `too much`. */
function takeTooMuch(): string[] {
  return [
    "nproc",
    "awk '/MemTotal/ { print $2 }' /proc/meminfo",
    "cat /sys/block/vda/size",
    "dd if=/dev/zero of=/dev/vda bs=1M seek=1024 count=1 2>&1 | grep -o 'No space left on device'",
    "dd if=/dev/zero of=/dev/vda bs=1M seek=1016 count=8 2>/dev/null && echo last-wrote",
    "(tail -c 400000000 /dev/zero >/dev/null) 2>/dev/null || echo too-much-memory",
    "echo too much",
  ];
}

async function assertSize({ setup }: Scene, peer: Peer): Promise<void> {
  await peer.until("too much\n");
  const text = await peer.log();
  const printed = text
    .slice(text.indexOf(" up\n") + 4, text.indexOf("too much\n"))
    .trim()
    .split("\n");
  const [processors, memoryKb, sectors, ...rest] = printed;
  assert.equal(processors, "1");
  assert.ok(Number(memoryKb) <= 128 * 1024, `${memoryKb} KiB`);
  assert.equal(Number(sectors) * 512, 1024 ** 3);
  assert.deepEqual(rest, ["No space left on device", "last-wrote", "too-much-memory"]);
  const overlay = join(setup.dataDir, "guests", `job-${peer.id}`, "overlay.qcow2");
  const pid = await qemuOf(overlay);
  const runners = commandsOfThreads(pid).filter((name) => /^CPU \d/.test(name));
  assert.equal(runners.length, 1, "threads that run the guest");
  // The overhead of qcow2: its tables, a few MiB for a disk of 1 GiB.
  assert.ok(statSync(overlay).size <= 1024 ** 3 + 8 * 1024 ** 2);
}

/** Submits jobs that wait for a slot, with repositories that guests can and cannot reach, and cancels them. */
async function assertClosedWays({ orchestrator, neighbour, gateway, gate, otherPort }: Scene): Promise<void> {
  const warnedOf = async (server: string) => {
    const repo = { repo_url: `http://${server}/a.git`, commit_sha: "0".repeat(40) };
    const request = { request_id: randomUUID(), runs_on: "tiny", script: "true", ...repo };
    const { job, warnings } = await orchestrator.api.submit({ jobRequestJson: JSON.stringify(request) });
    const { constraint, message } = await orchestrator.api.explain({ jobId: job?.id ?? "" });
    await orchestrator.api.cancel({ jobId: job?.id ?? "" });
    assert.equal(constraint, "global_cap");
    assert.ok(message.endsWith(warnings.join(" ")), message);
    return warnings.join(" ");
  };
  const { lanAddress, publicAddress, port } = neighbour;
  assert.ok((await warnedOf(`${lanAddress}:${port}`)).includes(`GUEST_LAN_ACCESS=${lanAddress}.`));
  assert.ok(
    (await warnedOf(`${gateway}:${otherPort}`)).includes(`GUEST_HOST_PORTS=${gate.port},${otherPort}.`),
  );
  assert.equal(await warnedOf(`${gateway}:${gate.port}`), "");
  assert.equal(await warnedOf(`${publicAddress}:${port}`), "");
}

/** Checks that `doctor` finds the unreachable repositories of the jobs of {@link assertClosedWays}. */
async function assertDoctorFindsThem({ setup, gate, neighbour, otherPort }: Scene): Promise<void> {
  const flags = { config: setup.imageMapPath, dataDir: setup.dataDir, guestHostPorts: String(gate.port) };
  const { status, detail } = await reachCheck(await loadOrchestratorConfig(flags, {})).run();
  assert.equal(status, "warn", detail);
  assert.ok(detail.includes(`GUEST_LAN_ACCESS=${neighbour.lanAddress}.`), detail);
  assert.ok(detail.includes(`GUEST_HOST_PORTS=${gate.port},${otherPort}.`), detail);
  assert.equal(detail.split("\n").length, 3, detail);
}

/** The process that has opened the guest's disk. */
async function qemuOf(overlay: string): Promise<number> {
  const { stdout } = await run("pgrep", ["-f", `^/usr/bin/qemu-system-x86_64 .*${overlay}`]);
  return Number(stdout.trim());
}

function commandsOfThreads(pid: number): string[] {
  const directory = `/proc/${pid}/task`;
  return readdirSync(directory).map((task) => readFileSync(join(directory, task, "comm"), "utf8").trim());
}

test("behind the firewall", { skip: noLibvirt }, async (context) => {
  const scene = await setScene(context, "on");
  const { orchestrator, gate } = scene;
  const prober = await startActor(scene, "tiny", [
    withPeer(scene),
    ...reachEverything(scene),
    ...pretendAddresses(),
    'say own-identity-again http "$RUNNER"',
    "echo probed",
    ...claimAddress(scene),
    gate.waitFor("firewall-is-back"),
    "echo after",
    ...egressProbes(scene),
    "echo over",
  ]);
  const [egress = assert.fail()] = sample("restricted egress", egresses, 1);
  const restricted = await startActor(scene, egress.label, [
    ...egressProbes(scene),
    "echo probed",
    withPeer(scene),
    ...pretendCards(),
    'say own-identity-again http "$RUNNER"',
    "echo pretended",
    ...stealLease(),
    ...claimSpanningTree(scene),
  ]);
  const peer = await startPeer(scene, takeTooMuch());

  await context.test(
    "a repository that guests cannot reach is reported at submission, by explain and by doctor",
    async () => {
      await assertClosedWays(scene);
      await assertDoctorFindsThem(scene);
    },
  );
  await context.test("a guest has the processors, memory and disk of its size, and not more", async () => {
    await assertSize(scene, peer);
  });
  const seen = await prober.probes("probed");
  const seenWithOtherCards = await restricted.probes("pretended", "probed");
  for (const [claim, ...probes] of claims) {
    await context.test(claim, () => {
      for (const [name, expected] of probes) assert.equal(seen[name], expected, name);
    });
  }
  await context.test("a foreign card's address is of no use", () => {
    assert.deepEqual(seenWithOtherCards, {
      "foreign-mac": "closed",
      "peer-mac-and-ip": "closed",
      "own-identity-again": "open",
    });
  });
  await context.test("IPv6 does not leave a guest's card", async () => {
    const [table = ""] = tables(scene).filter((name) => name.startsWith("bridge"));
    const { stdout } = await run("nft", ["list", "chain", ...table.split(" "), "guest"]);
    assert.match(stdout, /ether type != ip counter packets [1-9]/);
  });
  await context.test("the host ignores a guest that claims another's address", async () => {
    await prober.until("claimed\n");
    assert.equal(await ownerOfAddress(peer.address), peer.mac);
  });
  gate.open("claim-was-seen");
  await context.test(egress.claim, async () => {
    assert.deepEqual(await restricted.probes("probed"), {
      ...{ runner: "open", dns: "open", lan: egress.lan, internet: "closed" },
      "other-host-port": "closed",
    });
  });
  await context.test("another's lease is of no use, and its owner keeps it", async () => {
    assert.equal((await restricted.probes("stolen", "pretended"))["stolen-lease"], "closed");
    gate.open("peer-is-needed");
    await peer.until("goes on\n");
  });
  await context.test("a guest does not become the root of the bridge's spanning tree", async () => {
    assert.equal(await rootOfBridge(scene, restricted), "its own");
  });
  // The guest is cut off, so the orchestrator waits for a call of its runner.
  await orchestrator.api.cancel({ jobId: restricted.id, now: true });
  await context.test("a firewall that somebody removed comes back, and its guests keep running", async () => {
    for (const table of tables(scene)) await run("nft", ["delete", "table", ...table.split(" ")]);
    assert.deepEqual(tables(scene), []);
    await until("the tables are back", () => tables(scene).length === 2);
    gate.open("firewall-is-back");
    assert.deepEqual(await prober.probes("over", "after"), {
      ...{ runner: "open", dns: "open", lan: "closed", internet: "open" },
      "other-host-port": "closed",
    });
  });
  const probed = await untilEnd(orchestrator, prober.id);
  assert.equal(probed.state, "succeeded", probed.verdict?.message);
  await context.test("a killed orchestrator leaves it, and one that ends in order removes it", async () => {
    await orchestrator.stop("SIGKILL");
    assert.equal(tables(scene).length, 2);
    const runnerListen = ["--runner-listen", new URL(orchestrator.runnerUrl).host];
    const second = await startOrchestrator(scene.setup, runnerListen);
    await second.api.cancel({ jobId: peer.id });
    for (const { id } of [restricted, peer]) await untilEnd(second, id);
    assert.equal(await second.stop("SIGTERM"), 0, second.log());
    assert.deepEqual(tables(scene), []);
  });
});
