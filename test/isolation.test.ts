/** What a hostile job can reach and pretend, tried from inside real guests. docs/security.md names each test by its claim. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { guardTables, ownerOf } from "./support/guard.ts";
import { probeFunctions } from "./support/guest-probes.ts";
import { readLog, submit, untilEnd, untilLogged } from "./support/jobs.ts";
import { gatewayAddress, guestImage, noLibvirt, virsh } from "./support/libvirt.ts";
import { makeNeighbourNetwork, type NeighbourNetwork, serveHere } from "./support/networks.ts";
import {
  makeSetup,
  type OrchestratorProcess,
  type OrchestratorSetup,
  startOrchestrator,
} from "./support/orchestrator.ts";
import { until } from "./support/until.ts";

const run = promisify(execFile);
const skip = noLibvirt;

interface Scene {
  readonly setup: OrchestratorSetup;
  readonly orchestrator: OrchestratorProcess;
  readonly neighbour: NeighbourNetwork;
  readonly gateway: string;
  readonly bridge: string;
  /** A port of the gateway address that guests may call, and one that they may not. */
  readonly allowedPort: number;
  readonly otherPort: number;
  /** A port of the host's other address. */
  readonly elsewherePort: number;
}

async function setScene(context: TestContext, firewall: "on" | "off"): Promise<Scene> {
  const neighbour = await makeNeighbourNetwork(context);
  const gateway = await gatewayAddress();
  const bridge = /bridge name='([^']+)'/.exec(await virsh("net-dumpxml", "default"))?.[1] ?? "";
  const allowedPort = await serveHere(context, gateway);
  const otherPort = await serveHere(context, gateway);
  const elsewherePort = await serveHere(context, neighbour.hostAddress);
  const tiny = await guestImage("tiny");
  // An image has one policy, and its file is its own.
  const directory = mkdtempSync("/var/tmp/solstice-isolation-");
  context.after(() => rmSync(directory, { recursive: true }));
  chmodSync(directory, 0o711);
  const copy = (name: string) => {
    copyFileSync(tiny, join(directory, name));
    return join(directory, name);
  };
  const defaults = "defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 }";
  const imageMap = `
default_label: tiny
aliases: { peer: tiny }
images:
  tiny: { local_path: ${tiny}, ${defaults} }
  sealed: { local_path: ${copy("sealed.qcow2")}, ${defaults}, egress: none }
  listed: { local_path: ${copy("listed.qcow2")}, ${defaults}, egress: [${neighbour.lanAddress}] }
`;
  const setup = makeSetup(context, imageMap, [
    ...["--hypervisor", "libvirt", "--libvirt-virt-type", "qemu", "--max-attempts", "1"],
    ...["--runner-listen", `${gateway}:0`, "--stop-timeout", "2s", "--max-concurrency", "2"],
    ...["--firewall", firewall, "--guest-host-ports", String(allowedPort)],
  ]);
  const orchestrator = await startOrchestrator(setup);
  return { setup, orchestrator, neighbour, gateway, bridge, allowedPort, otherPort, elsewherePort };
}

/** A second guest that serves on port 7000 and lives until its job is cancelled; its address and card. */
async function startPeer({ orchestrator }: Scene): Promise<{ id: string; address: string; mac: string }> {
  const script = `${probeFunctions}
mkdir -p /tmp/www; httpd -p 7000 -h /tmp/www
# It is in league with the other, and answers by way of the host too.
ip route add "$GW" dev eth0; ip route del "\${GW%.*}.0/24" dev eth0
echo "peer $ME $MAC up"
n=0; while :; do n=$((n + 1)); echo "tick $n"; sleep 1; done`;
  const id = await submit(orchestrator, { runs_on: "peer", script });
  await untilLogged(orchestrator, id, " up\n");
  const [, address = "", mac = ""] = (await readLog(orchestrator, id)).toString().split(/\s+/);
  return { id, address, mac };
}

/** Runs probes as a job, and returns what each said. */
async function probe(scene: Scene, label: string, lines: readonly string[]): Promise<Record<string, string>> {
  const { orchestrator } = scene;
  const script = `RUNNER=${new URL(orchestrator.runnerUrl).host}\n${probeFunctions}\n${lines.join("\n")}\n`;
  const id = await submit(orchestrator, { runs_on: label, script });
  const job = await untilEnd(orchestrator, id);
  const log = (await readLog(orchestrator, id)).toString();
  assert.equal(job.state, "succeeded", `${job.verdict?.message}\n${log}`);
  return Object.fromEntries([...log.matchAll(/^([\w -]+): (\w+)$/gm)].map(([, name, said]) => [name, said]));
}

function everything(scene: Scene, peer: { address: string; mac: string }): string[] {
  const { gateway, neighbour, allowedPort, otherPort, elsewherePort } = scene;
  const stranger = gateway.replace(/\d+$/, "251");
  return [
    'say runner http "$RUNNER"',
    "say dns dns",
    "say dhcp dhcp",
    `say allowed-host-port http ${gateway}:${allowedPort}`,
    `say other-host-port http ${gateway}:${otherPort}`,
    `say other-host-address http ${neighbour.hostAddress}:${elsewherePort}`,
    `say ping-of-host ping -c 1 -W 2 ${gateway}`,
    `say lan http ${neighbour.lanAddress}:${neighbour.port}`,
    `say internet http ${neighbour.publicAddress}:${neighbour.port}`,
    `say peer-http http ${peer.address}:7000`,
    `say peer-ping ping -c 1 -W 2 ${peer.address}`,
    `say peer-arp arping -c 2 -w 3 -I eth0 ${peer.address}`,
    `ip route add ${peer.address} via ${gateway}`,
    `say peer-routed http ${peer.address}:7000`,
    `ip route del ${peer.address}`,
    `pretend foreign-ip "$MAC" ${stranger}`,
    `pretend peer-ip "$MAC" ${peer.address}`,
    `pretend foreign-mac 52:54:00:de:ad:01 "$ME"`,
    `pretend peer-mac-and-ip ${peer.mac} ${peer.address}`,
    "ping6 -c 2 -W 1 -I eth0 ff02::1 >/dev/null 2>&1 || true",
    'say own-identity-again http "$RUNNER"',
  ];
}

/** Lets a guest claim the peer's address, and tells whose card the host believes has it. */
async function claimAddress(scene: Scene, peer: { address: string; mac: string }): Promise<string> {
  const { orchestrator } = scene;
  const script = `${probeFunctions}
for turn in 1 2 3; do arping -U -c 2 -w 3 -I eth0 -s ${peer.address} ${peer.address} >/dev/null 2>&1 || true; done
ip addr add ${peer.address}/24 dev eth0; arping -A -c 2 -w 3 -I eth0 ${peer.address} >/dev/null 2>&1 || true
echo claimed; sleep 600`;
  const id = await submit(orchestrator, { script });
  await untilLogged(orchestrator, id, "claimed");
  const { stdout } = await run("ip", ["neigh", "show", peer.address]);
  await orchestrator.api.cancel({ jobId: id });
  await untilEnd(orchestrator, id);
  return /lladdr (\S+)/.exec(stdout)?.[1] ?? "nobody";
}

/** Lets a guest ask DHCP for the peer's lease, and use it; then for its own again. Returns what it could do with it. */
function stealLease(scene: Scene, peer: { address: string; mac: string }): Promise<Record<string, string>> {
  return probe(scene, "tiny", [
    `say asking-for-it udhcpc -i eth0 -n -q -t 3 -T 2 -s /bin/true -x 0x3d:01${peer.mac.replaceAll(":", "")}`,
    `pretend stolen-lease "$MAC" ${peer.address}`,
    "udhcpc -i eth0 -n -q -t 10 -T 2 -s /etc/udhcpc/script >/dev/null 2>&1",
  ]);
}

/**
 * Lets a guest run a bridge of its own whose frames claim to be the best root of the spanning tree there can be. Tells whose
 * root the host's bridge believes in once they were sent, or once the guest was cut off for them.
 */
async function claimSpanningTree({ orchestrator, bridge }: Scene): Promise<string> {
  const script = `while read -r module; do insmod "$module" 2>/dev/null || true; done </lib/modules/spare-order
brctl addbr evil
for setting in priority=0 hello_time=100 forward_delay=200 stp_state=1; do
  echo "\${setting#*=}" >"/sys/class/net/evil/bridge/\${setting%=*}"
done
ip link set evil up; echo claiming; sleep 2; brctl addif evil eth0; sleep 600`;
  const id = await submit(orchestrator, { script });
  await untilLogged(orchestrator, id, "claiming");
  const read = (file: string) => readFileSync(`/sys/class/net/${file}`, "utf8").trim();
  const own = read(`${bridge}/bridge/bridge_id`);
  const tap = await tapOf(id);
  const root = await until("the frames are seen", () => {
    const isCutOff = read(`${tap}/brport/state`) === "0";
    const seen = read(`${bridge}/bridge/root_id`);
    return (isCutOff || seen !== own) && seen;
  });
  await orchestrator.api.cancel({ jobId: id });
  await untilEnd(orchestrator, id);
  return root === own ? "its own" : "the guest's";
}

/** The host's end of a job's network card. */
async function tapOf(jobId: string): Promise<string> {
  return /^ (\S+) +network/m.exec(await virsh("domiflist", `job-${jobId}`))?.[1] ?? "";
}

/** The last number that the peer has told. */
async function lastTick({ orchestrator }: Scene, id: string): Promise<number> {
  return Number(/tick (\d+)\s*$/.exec((await readLog(orchestrator, id)).toString())?.[1]);
}

/** The tables of the kernel that hold this orchestrator's guests. */
function tables({ setup }: Scene): string[] {
  return guardTables(ownerOf(setup.dataDir) ?? "");
}

test("behind the firewall", { skip }, async (context) => {
  const scene = await setScene(context, "on");
  const peer = await startPeer(scene);
  const seen = await probe(scene, "tiny", everything(scene, peer));
  const claims: [claim: string, ...probes: [name: string, expected: string][]][] = [
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
    ["a foreign card's address is of no use", ["foreign-mac", "closed"], ["peer-mac-and-ip", "closed"]],
    ["its own identity still works", ["own-identity-again", "open"]],
  ];
  for (const [claim, ...probes] of claims) {
    await context.test(claim, () => {
      for (const [name, expected] of probes) assert.equal(seen[name], expected, name);
    });
  }
  await context.test("IPv6 does not leave a guest's card", async () => {
    const [table = ""] = tables(scene).filter((name) => name.startsWith("bridge"));
    const { stdout } = await run("nft", ["list", "chain", ...table.split(" "), "guest"]);
    assert.match(stdout, /ether type != ip counter packets [1-9]/);
  });
  await context.test("the host does not believe a guest that claims another's address", async () => {
    assert.equal(await claimAddress(scene, peer), peer.mac);
  });
  await context.test("another's lease is of no use, and its owner goes on", async () => {
    assert.equal((await stealLease(scene, peer))["stolen-lease"], "closed");
    const tick = await lastTick(scene, peer.id);
    await until("the peer is heard of", async () => (await lastTick(scene, peer.id)) > tick);
  });
  await context.test("a guest does not become the root of the bridge's spanning tree", async () => {
    assert.equal(await claimSpanningTree(scene), "its own");
  });
  await context.test("egress: none leaves the runner endpoint, DNS and DHCP", async () => {
    assert.deepEqual(await probe(scene, "sealed", egressProbes(scene)), {
      ...{ runner: "open", dns: "open", lan: "closed", internet: "closed" },
      "other-host-port": "closed",
    });
  });
  await context.test("egress: a list opens what it names, and nothing else", async () => {
    assert.deepEqual(await probe(scene, "listed", egressProbes(scene)), {
      ...{ runner: "open", dns: "open", lan: "open", internet: "closed" },
      "other-host-port": "closed",
    });
  });
  await context.test("a firewall that somebody removed comes back, and its guests go on", async () => {
    for (const table of tables(scene)) await run("nft", ["delete", "table", ...table.split(" ")]);
    assert.deepEqual(tables(scene), []);
    await until("the tables are back", () => tables(scene).length === 2);
    assert.match(scene.orchestrator.log(), /putting it back/);
    const again = await probe(scene, "tiny", egressProbes(scene));
    assert.equal(again["other-host-port"], "closed");
  });
  await context.test(
    "a killed orchestrator leaves it, and one that ends in good order takes it away",
    async () => {
      await scene.orchestrator.stop("SIGKILL");
      assert.equal(tables(scene).length, 2);
      const runnerListen = ["--runner-listen", new URL(scene.orchestrator.runnerUrl).host];
      const second = await startOrchestrator(scene.setup, runnerListen);
      await second.api.cancel({ jobId: peer.id });
      await untilEnd(second, peer.id);
      assert.equal(await second.stop("SIGTERM"), 0, second.log());
      assert.deepEqual(tables(scene), []);
    },
  );
});

test("a guest has the processors, memory and disk of its size, and not more", { skip }, async (context) => {
  const scene = await setScene(context, "on");
  const { orchestrator, setup } = scene;
  const script = `nproc
awk '/MemTotal/ { print $2 }' /proc/meminfo
cat /sys/block/vda/size
dd if=/dev/zero of=/dev/vda bs=1M seek=1024 count=1 2>&1 | grep -o 'No space left on device'
dd if=/dev/zero of=/dev/vda bs=1M seek=1016 count=8 2>/dev/null && echo last-wrote
(tail -c 400000000 /dev/zero >/dev/null) 2>/dev/null || echo too-much-memory
for n in 1 2 3 4; do (while :; do :; done) & done
echo busy; sleep 600`;
  const id = await submit(orchestrator, { script });
  await untilLogged(orchestrator, id, "busy\n");
  const [processors, memoryKb, sectors, ...said] = (await readLog(orchestrator, id))
    .toString()
    .trim()
    .split("\n");
  assert.equal(processors, "1");
  assert.ok(Number(memoryKb) <= 128 * 1024, `${memoryKb} KiB`);
  assert.equal(Number(sectors) * 512, 1024 ** 3);
  assert.deepEqual(said, ["No space left on device", "last-wrote", "too-much-memory", "busy"]);
  const overlay = join(setup.dataDir, "guests", `job-${id}`, "overlay.qcow2");
  const pid = await qemuOf(overlay);
  assert.equal(
    commandsOfThreads(pid).filter((name) => /^CPU \d/.test(name)).length,
    1,
    "threads that run the guest",
  );
  // What qcow2 adds to the data: its tables, a few MiB for a disk of 1 GiB.
  assert.ok(statSync(overlay).size <= 1024 ** 3 + 8 * 1024 ** 2);
});

/** The process that has the guest's disk. */
async function qemuOf(overlay: string): Promise<number> {
  const { stdout } = await run("pgrep", ["-f", `^/usr/bin/qemu-system-x86_64 .*${overlay}`]);
  return Number(stdout.trim());
}

function commandsOfThreads(pid: number): string[] {
  const directory = `/proc/${pid}/task`;
  return readdirSync(directory).map((task) => readFileSync(join(directory, task, "comm"), "utf8").trim());
}

function egressProbes({ gateway, neighbour, otherPort }: Scene): string[] {
  return [
    'say runner http "$RUNNER"',
    "say dns dns",
    `say lan http ${neighbour.lanAddress}:${neighbour.port}`,
    `say internet http ${neighbour.publicAddress}:${neighbour.port}`,
    `say other-host-port http ${gateway}:${otherPort}`,
  ];
}

test("without it, the same attempts succeed: they are real ones", { skip }, async (context) => {
  const scene = await setScene(context, "off");
  assert.match(scene.orchestrator.log(), /FIREWALL=off/);
  const peer = await startPeer(scene);
  const seen = await probe(scene, "tiny", everything(scene, peer));
  const closed = Object.keys(seen).filter((name) => seen[name] === "closed");
  // Isolated bridge ports alone keep guests apart.
  assert.deepEqual(closed.sort(), ["peer-arp", "peer-http", "peer-ping"]);
  assert.notEqual(await claimAddress(scene, peer), peer.mac);
  assert.equal(await claimSpanningTree(scene), "the guest's");
});
