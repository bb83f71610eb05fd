import { spawn } from "node:child_process";
import { appendFileSync, closeSync, existsSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Context, pause } from "../../host/context.ts";
import { CommandFailure } from "../../host/failure.ts";
import { identify, killProcess, type ProcessIdentity } from "../../host/processes.ts";
import { exclusively, nextSerial, setting } from "../../host/state.ts";
import { addLinks } from "../../network/zone-links.ts";
import { firmwareOf, type Machine, machineOf, missingFile, qemuArguments } from "../guest/machine.ts";
import { answers } from "../guest/qmp.ts";
import { startScriptedGuest } from "../guest/scripted-guest.ts";
import { withLock } from "../lock.ts";
import { findZone, isLive, stateOf, updateZone, type Zone } from "../records.ts";
import { tearDown } from "../teardown.ts";
import { bootFailure, zoneadmFailure } from "./failures.ts";
import { takePower } from "./halt.ts";
import { verifyZone } from "./verify.ts";

const startDeadlineMs = 60_000;

/** zoneadm boot: the guest is a separate process that outlives this command. */
export async function boot(context: Context, name: string): Promise<void> {
  const zone = findZone(context, name);
  if (!zone) return;
  const state = stateOf(zone);
  if (state === "configured" || state === "incomplete") {
    throw zoneadmFailure(name, "must be installed before boot.");
  }
  verifyZone(context, zone, "boot");
  await withLock(context, { kind: "zoneadmd", zone: name }, async () => {
    const now = findZone(context, name);
    if (now && isLive(now)) context.err(`zone '${name}': zone is already booted`);
    else if (now) await bringUp(context, now);
  });
}

/** zoneadm reboot: halts and boots, as one operation. */
export async function reboot(context: Context, name: string): Promise<void> {
  const zone = findZone(context, name);
  if (!zone) return;
  if (!isLive(zone)) throw zoneadmFailure(name, "not running");
  verifyZone(context, zone, "boot");
  await withLock(context, { kind: "zoneadmd", zone: name }, async () => {
    await takePower(context, name);
    const now = findZone(context, name);
    if (now) await bringUp(context, now);
  });
}

/**
 * Configures the zone's links, runs the brand's boot program, then starts bhyve as the zone's init. A failed start of
 * bhyve is not a failure of zoneadm: the zone has booted, and is down again at once; only init.log contains the
 * reason.
 */
async function bringUp(context: Context, zone: Zone): Promise<void> {
  const { zonepath } = zone.config;
  try {
    addLinks(context, zone);
    checkFirmware(zone);
    rmSync(join(zonepath, "root/tmp/init.log"), { force: true });
    appendFileSync(join(zonepath, "log/zone.log"), `Zone name: ${zone.name}\n`);
    const missing = missingFile(context, zone);
    if (missing) {
      writeFileSync(
        join(zonepath, "root/tmp/init.log"),
        `Could not open backing file: ${missing}: No such file or directory\n`,
      );
      exclusively(context.database, () => tearDown(context, zone));
      return;
    }
    await start(context, zone);
  } catch (error) {
    // A command killed in the middle tears nothing down.
    if (error instanceof CommandFailure) exclusively(context.database, () => tearDown(context, zone));
    throw error;
  }
}

function checkFirmware(zone: Zone): void {
  const { name, isKnown } = firmwareOf(zone.config);
  if (isKnown) return;
  const program = `exec /usr/lib/brand/bhyve/boot ${zone.name} ${zone.config.zonepath}`;
  throw bootFailure(zone.name, `bootrom ${name} not found.`, `${program} failed`);
}

async function start(context: Context, zone: Zone): Promise<void> {
  const machine = machineOf(context, zone);
  for (const socket of machine.sockets) rmSync(socket.path, { force: true });
  rmSync(machine.monitor, { force: true });
  const isScripted = setting(context.database, "guests") === "scripted";
  const guest = isScripted ? startScriptedGuest(machine) : startQemu(zone, machine);
  exclusively(context.database, () => {
    const id = nextSerial(context.database, "zoneid");
    updateZone(context, zone.name, { id, pid: guest.pid, started: guest.started, phase: "running" });
  });
  context.halfway();
  if (await isUp(context, zone, { machine, guest })) return;
  killProcess(guest);
  // Not in illumos: the stand-in's own failure, so that the cause is visible in the test.
  throw bootFailure(zone.name, `qemu ended: see ${join(zone.config.zonepath, "root/tmp/init.log")}`);
}

function startQemu(zone: Zone, machine: Machine): ProcessIdentity {
  const log = openSync(join(zone.config.zonepath, "root/tmp/init.log"), "w", 0o600);
  const child = spawn("qemu-system-x86_64", qemuArguments(machine), {
    detached: true,
    stdio: ["ignore", log, log],
    cwd: "/",
  }).on("error", () => {});
  closeSync(log);
  // The guest outlives the command, and must not keep this process alive.
  child.unref();
  const { pid } = child;
  const guest = pid === undefined ? null : identify(pid);
  if (!guest) throw bootFailure(zone.name, "qemu-system-x86_64 is not installed");
  return guest;
}

/** Waits until QEMU listens at its sockets (and responds, unless it waits for its console), or has ended. */
async function isUp(
  context: Context,
  zone: Zone,
  { machine, guest }: { machine: Machine; guest: ProcessIdentity },
): Promise<boolean> {
  const deadline = Date.now() + startDeadlineMs;
  while (Date.now() < deadline && identify(guest.pid)?.started === guest.started) {
    const waiting = machine.sockets.find(({ wait }) => wait);
    if (waiting ? existsSync(waiting.path) : await answers(context, zone.name)) return true;
    await pause(context, 20);
  }
  return false;
}
