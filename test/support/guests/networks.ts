import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { until } from "../until.ts";

const run = promisify(execFile);

/**
 * Another machine, in a separate network namespace, to which this host has a route: a neighbour in its LAN, and the
 * internet.
 */
export interface NeighbourNetwork {
  /** The host's own address towards that machine. */
  readonly hostAddress: string;
  /** The machine's address, of a private range. */
  readonly lanAddress: string;
  /** The same machine's address of a public range (RFC 5737: reserved for documentation). */
  readonly publicAddress: string;
  /** The port of an HTTP server on both addresses. */
  readonly port: number;
}

/** Makes the machine, its link, and the route to its public address; all of them are removed after the test. */
export async function makeNeighbourNetwork(context: TestContext): Promise<NeighbourNetwork> {
  const tag = String(process.pid);
  const [space, ours, theirs] = [`solstice-${tag}`, `sa${tag}`, `sb${tag}`];
  // Unique to this run: leftovers of a killed run do not conflict.
  const own = 1 + (process.pid % 250);
  const [hostAddress, lanAddress, publicAddress] = [`10.213.${own}.1`, `10.213.${own}.2`, `203.0.113.${own}`];
  const port = 8000;
  await run("ip", ["netns", "add", space]);
  context.after(() => run("ip", ["netns", "del", space]).then(() => {}));
  const inside = (...args: string[]) => run("ip", ["-n", space, ...args]);
  await run("ip", ["link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", space]);
  await run("ip", ["address", "add", `${hostAddress}/24`, "dev", ours]);
  await run("ip", ["link", "set", ours, "up"]);
  await inside("address", "add", `${lanAddress}/24`, "dev", theirs);
  await inside("address", "add", `${publicAddress}/32`, "dev", theirs);
  await inside("link", "set", theirs, "up");
  await inside("route", "add", "default", "via", hostAddress);
  await run("ip", ["route", "add", `${publicAddress}/32`, "via", lanAddress]);
  const args = ["netns", "exec", space, "busybox", "httpd", "-f", "-p", String(port), "-h", "/usr/share/doc"];
  const server = spawn("ip", args, { stdio: "ignore" });
  context.after(() => ended(server));
  await until("the neighbour serves", () => fetch(`http://${lanAddress}:${port}/`).catch(() => null));
  return { hostAddress, lanAddress, publicAddress, port };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

/** A server of this host on the given address and a free port, which replies "here"; closed after the test. */
export async function serveHere(context: TestContext, host: string): Promise<number> {
  const server = createServer((_request, response) => response.end("here"));
  server.listen(0, host);
  await once(server, "listening");
  context.after(() => {
    server.close().closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}
