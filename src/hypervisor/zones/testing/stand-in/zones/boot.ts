import { spawn } from "node:child_process";
import { existsSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Context } from "../host/context.ts";
import { CommandFailure } from "../host/failure.ts";
import { identify, killProcess, type ProcessIdentity } from "../host/processes.ts";
import { exclusively, nextSerial } from "../host/state.ts";
import { withZoneLock } from "./lock.ts";
import { type Machine, machineOf, qemuArguments } from "./machine.ts";
import { answers } from "./qmp.ts";
import { findZone, isLive, stateOf, updateZone, type Zone } from "./records.ts";

const startDeadlineMs = 60_000;

/** zoneadm boot: the guest is a process of its own that outlives this command. */
export async function boot(context: Context, name: string): Promise<void> {
  const zone = findZone(context, name);
  if (!zone) return;
  const state = stateOf(zone);
  if (state === "configured" || state === "incomplete") {
    throw new CommandFailure(`zoneadm: zone '${name}': must be installed before boot.`);
  }
  await withZoneLock(context, name, async () => {
    const now = findZone(context, name);
    if (!now) return;
    if (isLive(now)) {
      context.err(`zone '${name}': zone is already booted`);
      return;
    }
    await start(context, now);
  });
}

async function start(context: Context, zone: Zone): Promise<void> {
  const machine = machineOf(context, zone);
  for (const socket of machine.sockets) rmSync(socket.path, { force: true });
  rmSync(machine.monitor, { force: true });
  const guest = startQemu(zone, machine);
  exclusively(context.database, () => {
    const id = nextSerial(context.database, "zoneid");
    updateZone(context, zone.name, { id, pid: guest.pid, started: guest.started, phase: "running" });
  });
  context.halfway();
  if (await isUp(context, zone, { machine, guest })) return;
  killProcess(guest);
  exclusively(context.database, () =>
    updateZone(context, zone.name, { id: null, pid: null, started: null, phase: null }),
  );
  throw new CommandFailure(
    `zone '${zone.name}': bhyve exited: see ${join(zone.config.zonepath, "root/tmp/init.log")}`,
  );
}

function startQemu(zone: Zone, machine: Machine): ProcessIdentity {
  const log = openSync(join(zone.config.zonepath, "root/tmp/init.log"), "a", 0o600);
  const { pid } = spawn("qemu-system-x86_64", qemuArguments(machine), {
    detached: true,
    stdio: ["ignore", log, log],
    cwd: "/",
  }).on("error", () => {});
  const guest = pid === undefined ? null : identify(pid);
  if (!guest) throw new CommandFailure(`zone '${zone.name}': qemu-system-x86_64 did not start`);
  return guest;
}

/** Waits until QEMU listens at all its sockets (and answers, unless it waits for its console), or has ended. */
async function isUp(
  context: Context,
  zone: Zone,
  { machine, guest }: { machine: Machine; guest: ProcessIdentity },
): Promise<boolean> {
  const deadline = Date.now() + startDeadlineMs;
  while (Date.now() < deadline && identify(guest.pid)?.started === guest.started) {
    const waiting = machine.sockets.find(({ wait }) => wait);
    if (waiting ? existsSync(waiting.path) : await answers(context, zone.name)) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}
