import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import type { KillPoint } from "../../hypervisor-contract/contract/kills/steps.ts";
import { type GuestKind, openStandIn, type StandIn } from "../../illumos/stand-in.ts";
import {
  type Afterwards,
  cleanEnvironment,
  makeSetup,
  type OrchestratorProcess,
  type OrchestratorSetup,
  solstice,
  startOrchestrator,
} from "../orchestrator.ts";
import { guestImage } from "./libvirt.ts";

const run = promisify(execFile);

/** A stand-in for an illumos host, and an orchestrator that is set up on it. */
export interface ZonesHost {
  readonly standIn: StandIn;
  readonly setup: OrchestratorSetup;
  /** Starts an orchestrator. It is killed at `kill`, a point counted in commands that change the host. */
  start(kill?: KillPoint): Promise<OrchestratorProcess>;
}

/** The module that kills an orchestrator from inside. */
const killer = new URL("../kill-orchestrator.ts", import.meta.url).href;

/** A host with the tiny guest as its image; all its processes and files are removed after the test. */
export async function openZonesHost(
  context: Afterwards,
  guests: GuestKind,
  ...flags: string[]
): Promise<ZonesHost> {
  const imageMap = `
default_label: tiny
images:
  tiny: { local_path: ${await guestImage("tiny")}, nocloud: true, defaults: { cpu: 1, ram_mb: 192, disk_gb: 1 } }
`;
  const setup = makeSetup(context, imageMap, [...(await zonesFlags()), ...flags]);
  // Registered after the cleanup of the setup: an orchestrator that still runs would make guests again.
  const standIn = await openStandIn({ guests, shutdownSeconds: 30 });
  context.after(() => standIn.close());
  return {
    standIn,
    setup,
    start: (kill) =>
      startOrchestrator(setup, [], {
        ...standIn.environment,
        ...(kill && { NODE_OPTIONS: `--import=${killer}`, SOLSTICE_TEST_KILL: JSON.stringify(kill) }),
      }),
  };
}

/**
 * The flags of an orchestrator on a stand-in, whose guests reach this machine's loopback at their gateway's address.
 */
export async function zonesFlags(): Promise<string[]> {
  const port = await freePort();
  return [
    ...["--hypervisor", "zones", "--zones-nameservers", "192.0.2.53", "--stop-timeout", "3s"],
    ...["--runner-listen", `127.0.0.1:${port}`, "--runner-url", `http://10.88.0.1:${port}`],
  ];
}

/** A port that was free a moment ago: guests receive its number before the server listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** Asserts that no part of any guest is left on the host, and that `doctor --leaks` agrees. */
export async function assertNothingLeft({ standIn, setup }: ZonesHost): Promise<void> {
  assert.deepEqual(
    standIn.zones().map(({ name }) => name),
    [],
  );
  const disks = standIn.datasets().filter(({ name }) => name.includes("job-"));
  assert.deepEqual(
    disks.map(({ name }) => name),
    [],
  );
  const links = standIn.links().map(({ name }) => name);
  assert.deepEqual(links.toSorted(), ["igb0", "solstice0", "solstice_stub0"]);
  assert.deepEqual(readdirSync(join(setup.dataDir, "guests")), []);
  const flags = [
    "--json",
    "--config",
    setup.imageMapPath,
    "--data-dir",
    setup.dataDir,
    "--hypervisor",
    "zones",
  ];
  const env = { ...cleanEnvironment(), ...standIn.environment };
  const { stdout } = await run(solstice, ["doctor", "--leaks", ...flags], { env });
  assert.deepEqual(JSON.parse(stdout).leaks, []);
}
