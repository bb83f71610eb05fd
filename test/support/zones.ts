import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { openStandIn, type StandIn } from "../illumos/stand-in.ts";
import { guestImage } from "./libvirt.ts";
import {
  type Afterwards,
  cleanEnvironment,
  makeSetup,
  type OrchestratorProcess,
  type OrchestratorSetup,
  solstice,
  startOrchestrator,
} from "./orchestrator.ts";

const run = promisify(execFile);

/** The commands of an illumos host that change something of it, as a pattern of the shell, on a line with their arguments. */
const changing =
  "zfs\\ create*|zfs\\ clone*|zfs\\ set*|zfs\\ snapshot*|zfs\\ destroy*|dd\\ *|dladm\\ create*|dladm\\ set*|dladm\\ delete*|ipadm\\ create*|*\\ create\\ -F*|*\\ delete\\ -F|*\\ install|*\\ boot|*\\ halt|*\\ shutdown|*\\ uninstall\\ -F";

/** A stand-in for an illumos host, and an orchestrator that is set up on it. */
export interface ZonesHost {
  readonly standIn: StandIn;
  readonly setup: OrchestratorSetup;
  /** Starts an orchestrator; with `killAt` it is killed at its n-th command that changes the host. */
  start(kill?: KillPoint): Promise<OrchestratorProcess>;
}

/** When an orchestrator is killed. */
export interface KillPoint {
  /** Counted from 1, among the commands that change something. */
  readonly at: number;
  /** `before`: the command is not run any more. `during`: it runs on, and ends when its orchestrator is dead. */
  readonly moment: "before" | "during";
}

/** A host with the tiny guest as its image; everything is ended and removed after the test. */
export async function openZonesHost(context: Afterwards, ...flags: string[]): Promise<ZonesHost> {
  const imageMap = `
default_label: tiny
images:
  tiny: { local_path: ${await guestImage("tiny")}, nocloud: true, defaults: { cpu: 1, ram_mb: 192, disk_gb: 1 } }
`;
  const port = await freePort();
  const setup = makeSetup(context, imageMap, [
    ...["--hypervisor", "zones", "--zones-nameservers", "192.0.2.53", "--stop-timeout", "3s"],
    // The guests' gateway leads to this machine's loopback.
    ...["--runner-listen", `127.0.0.1:${port}`, "--runner-url", `http://10.88.0.1:${port}`, ...flags],
  ]);
  // Registered after the set-up's: an orchestrator that still runs would make guests anew.
  const standIn = await openStandIn({ shutdownSeconds: 30 });
  context.after(() => standIn.close());
  const wrappers = makeWrappers(standIn);
  const { PATH } = standIn.environment;
  return {
    standIn,
    setup,
    start: (kill) =>
      startOrchestrator(setup, [], {
        ...standIn.environment,
        PATH: `${wrappers}:${PATH}`,
        ...(kill && { SOLSTICE_KILL_AT: String(kill.at), SOLSTICE_KILL_MOMENT: kill.moment }),
      }),
  };
}

/** A port that was free a moment ago: guests are told it before anybody listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** Programs before the stand-in's own on the PATH, which kill whoever started them once enough was changed. */
function makeWrappers({ directory, environment }: StandIn): string {
  const wrappers = join(directory, "wrappers");
  const [programs = ""] = environment.PATH.split(":");
  mkdirSync(wrappers);
  for (const program of ["zfs", "zoneadm", "zonecfg", "dladm", "ipadm", "dd"]) {
    const path = join(wrappers, program);
    writeFileSync(path, wrapper(program, join(programs, program), join(directory, "changes")));
    chmodSync(path, 0o755);
  }
  return wrappers;
}

function wrapper(program: string, real: string, counter: string): string {
  return `#!/bin/sh
[ -n "$SOLSTICE_KILL_AT" ] || exec ${real} "$@"
case "${program} $*" in
  ${changing})
    count=$(flock ${counter} sh -c 'echo x >>"$0"; wc -l <"$0"' ${counter})
    if [ "$count" -eq "$SOLSTICE_KILL_AT" ]; then
      kill -9 "$PPID"
      [ "$SOLSTICE_KILL_MOMENT" = during ] || exit 1
    fi
    ;;
esac
exec ${real} "$@"
`;
}

/** Asserts that nothing of any guest is on the host any more, and that `doctor --leaks` agrees. */
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
