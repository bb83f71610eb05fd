import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { type Gate, startGate } from "../gate.ts";
import { readLog, submit, untilLogged } from "../jobs.ts";
import { type OrchestratorProcess, type OrchestratorSetup, startOrchestrator } from "../orchestrator.ts";
import { until } from "../until.ts";
import { firewallTables, ownerOf } from "./firewall.ts";
import { probeFunctions } from "./guest-probes.ts";
import { gatewayAddress, virsh } from "./libvirt.ts";
import { makeNeighbourNetwork, type NeighbourNetwork, serveHere } from "./networks.ts";
import { copyTinyImage, tinyDefaults, tinySetup } from "./tiny-guests.ts";

const run = promisify(execFile);

/** An orchestrator, and the addresses and ports around its guests that they may or may not reach. */
export interface Scene {
  readonly setup: OrchestratorSetup;
  readonly orchestrator: OrchestratorProcess;
  readonly neighbour: NeighbourNetwork;
  readonly gateway: string;
  readonly bridge: string;
  /** The gate, on the port of the gateway address that guests may call. */
  readonly gate: Gate;
  /** A port of the gateway address that guests may not call. */
  readonly otherPort: number;
  /** A port of the host's other address. */
  readonly elsewherePort: number;
}

/**
 * Starts the scene. The image map has `tiny` and `peer`, `sealed` (egress: none) and `listed` (egress to the LAN's
 * neighbour).
 */
export async function setScene(context: TestContext, firewall: "on" | "off"): Promise<Scene> {
  const neighbour = await makeNeighbourNetwork(context);
  const gateway = await gatewayAddress();
  const bridge = /bridge name='([^']+)'/.exec(await virsh("net-dumpxml", "default"))?.[1] ?? "";
  const gate = await startGate(context, gateway);
  const otherPort = await serveHere(context, gateway);
  const elsewherePort = await serveHere(context, neighbour.hostAddress);
  const [sealed, listed] = await copyTinyImage(context, ["sealed", "listed"]);
  const images = `  sealed: { local_path: ${sealed}, ${tinyDefaults}, egress: none }
  listed: { local_path: ${listed}, ${tinyDefaults}, egress: [${neighbour.lanAddress}] }
aliases: { peer: tiny }
`;
  const setup = await tinySetup(
    context,
    [
      // As many guests as one test has: a further job of it waits.
      ...["--max-attempts", "1", "--max-concurrency", "3"],
      ...["--firewall", firewall, "--guest-host-ports", String(gate.port)],
    ],
    images,
  );
  const orchestrator = await startOrchestrator(setup);
  return { setup, orchestrator, neighbour, gateway, bridge, gate, otherPort, elsewherePort };
}

/** A guest whose job runs a script with the functions of the probes. */
export interface Actor {
  readonly id: string;
  log(): Promise<string>;
  /** Waits until the script has printed `text`. */
  until(text: string): Promise<void>;
  /** The result of each probe (`open` or `closed`, by name) between two lines of the log. */
  probes(until: string, from?: string): Promise<Record<string, string>>;
}

/** Starts a guest with the given label. */
export async function startActor(
  { orchestrator }: Scene,
  label: string,
  lines: readonly string[],
): Promise<Actor> {
  const script = `RUNNER=${new URL(orchestrator.runnerUrl).host}\n${probeFunctions}\n${lines.join("\n")}\n`;
  const id = await submit(orchestrator, { runs_on: label, script });
  const log = async () => (await readLog(orchestrator, id)).toString();
  const untilPrinted = (text: string) => untilLogged(orchestrator, id, text);
  return {
    id,
    log,
    until: untilPrinted,
    async probes(end, from) {
      await untilPrinted(`${end}\n`);
      const text = await log();
      const part = text.slice(from === undefined ? 0 : text.indexOf(`${from}\n`), text.indexOf(`${end}\n`));
      return Object.fromEntries(
        [...part.matchAll(/^([\w -]+): (\w+)$/gm)].map(([, name, said]) => [name, said]),
      );
    },
  };
}

/** Commands that run in parallel: the commands that time out share one wait. */
export function together(commands: readonly string[]): string[] {
  return [...commands.map((command) => `${command} &`), "wait"];
}

/** The second guest, with its address and network card. */
export interface Peer extends Actor {
  readonly address: string;
  readonly mac: string;
}

/**
 * Starts a guest that serves on port 7000, runs `lines`, and prints `goes on` once the gate opens `peer-is-needed`.
 * It cooperates with the other guests, and also replies by way of the host. The scripts of {@link withPeer} wait for
 * it.
 */
export async function startPeer(scene: Scene, lines: readonly string[] = []): Promise<Peer> {
  const actor = await startActor(scene, "peer", [
    "mkdir -p /tmp/www; httpd -p 7000 -h /tmp/www",
    'ip route add "$GW" dev eth0; ip route del "$NET.0/24" dev eth0',
    'echo "peer $ME $MAC up"',
    ...lines,
    scene.gate.waitFor("peer-is-needed"),
    'echo "goes on"; sleep 1000',
  ]);
  await actor.until(" up\n");
  const [, address = "", mac = ""] = (await actor.log()).split(/\s+/);
  scene.gate.open("peer", `PEER=${address} PEER_MAC=${mac}`);
  return { ...actor, address, mac };
}

/** Sets `PEER` and `PEER_MAC` in a script, once the peer is up. */
export function withPeer({ gate }: Scene): string {
  return `eval "$(${gate.read("peer")})"`;
}

/** All probes of a scene's network. */
export function reachEverything(scene: Scene): string[] {
  const { gateway, neighbour, gate, otherPort, elsewherePort } = scene;
  return [
    "say dhcp dhcp",
    ...together([
      'say runner http "$RUNNER"',
      "say dns dns",
      `say allowed-host-port http ${gateway}:${gate.port}`,
      `say other-host-port http ${gateway}:${otherPort}`,
      `say other-host-address http ${neighbour.hostAddress}:${elsewherePort}`,
      `say ping-of-host ping -c 1 -W 4 ${gateway}`,
      `say lan http ${neighbour.lanAddress}:${neighbour.port}`,
      `say internet http ${neighbour.publicAddress}:${neighbour.port}`,
      `say peer-http http $PEER:7000`,
      `say peer-ping ping -c 1 -W 4 "$PEER"`,
      `say peer-arp arping -c 2 -w 4 -I eth0 "$PEER"`,
      "ping6 -c 2 -W 1 -I eth0 ff02::1 >/dev/null 2>&1",
    ]),
    `ip route add "$PEER" via ${gateway}`,
    'say peer-routed http "$PEER:7000" 4',
    'ip route del "$PEER"',
  ];
}

/** Probes that use another address of the guests' network. */
export function pretendAddresses(): string[] {
  return ['pretend foreign-ip "$MAC" "$NET.251"', 'pretend peer-ip "$MAC" "$PEER"'];
}

/** Probes that use another MAC address. */
export function pretendCards(): string[] {
  return ['pretend foreign-mac 52:54:00:de:ad:01 "$ME"', 'pretend peer-mac-and-ip "$PEER_MAC" "$PEER"'];
}

/** Claims the peer's address, prints `claimed`, waits at the gate, and releases the address. */
export function claimAddress({ gate }: Scene): string[] {
  return [
    'for turn in 1 2 3; do arping -U -c 1 -w 2 -I eth0 -s "$PEER" "$PEER" >/dev/null 2>&1 || true; done',
    'ip addr add "$PEER/24" dev eth0; arping -A -c 2 -w 3 -I eth0 "$PEER" >/dev/null 2>&1 || true',
    'echo claimed; ip addr del "$PEER/24" dev eth0',
    gate.waitFor("claim-was-seen"),
  ];
}

/** The MAC address in the host's neighbour table for an IP address; `no card` when the table has no entry. */
export async function ownerOfAddress(address: string): Promise<string> {
  const { stdout } = await run("ip", ["neigh", "show", address]);
  return /lladdr (\S+)/.exec(stdout)?.[1] ?? "no card";
}

/**
 * Makes a bridge whose frames claim to be the best possible root of the spanning tree, and prints `claiming`. Joins
 * the bridge of the host once the gate opens `spanning-tree`: from then on the guest may be cut off, and prints
 * nothing.
 */
export function claimSpanningTree({ gate }: Scene): string[] {
  return [
    'while read -r module; do insmod "$module" 2>/dev/null || true; done </lib/modules/spare-order',
    "brctl addbr evil",
    "cd /sys/class/net/evil/bridge; echo 0 >priority; echo 100 >hello_time; echo 200 >forward_delay; echo 1 >stp_state",
    "ip link set evil up; echo claiming",
    gate.waitFor("spanning-tree"),
    "brctl addif evil eth0; sleep 600",
  ];
}

/**
 * The spanning-tree root of the host's bridge once the actor's frames were sent, or once the actor was cut off for
 * them.
 */
export async function rootOfBridge(
  { gate, bridge }: Scene,
  actor: Actor,
): Promise<"its own" | "the guest's"> {
  await actor.until("claiming\n");
  const read = (file: string) => readFileSync(`/sys/class/net/${file}`, "utf8").trim();
  const own = read(`${bridge}/bridge/bridge_id`);
  const tap = await tapOf(actor.id);
  gate.open("spanning-tree");
  const root = await until("the frames arrive", () => {
    const isCutOff = read(`${tap}/brport/state`) === "0";
    const seen = read(`${bridge}/bridge/root_id`);
    return (isCutOff || seen !== own) && seen;
  });
  return root === own ? "its own" : "the guest's";
}

/** The host's end of a job's network card. */
async function tapOf(jobId: string): Promise<string> {
  return /^ (\S+) +network/m.exec(await virsh("domiflist", `job-${jobId}`))?.[1] ?? "";
}

/** The kernel's tables with the rules for the guests of this orchestrator. */
export function tables({ setup }: Scene): string[] {
  return firewallTables(ownerOf(setup.dataDir) ?? "");
}
