import { spawn } from "node:child_process";
import { once } from "node:events";
import { open, readdir, readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { SolsticeError } from "../../../src/core/errors.ts";
import { guestName } from "../../../src/core/job.ts";
import { missingTool } from "../../../src/host/command.ts";
import type { GuestSpec } from "../../../src/hypervisor/hypervisor.ts";
import type { GuestPaths } from "./guest-files.ts";

const PROGRAM = "qemu-system-x86_64";
const ROUND_MS = 20;
/** A busy host may take seconds to start a program, or to end one. */
const MAX_ROUNDS = 1500;
const MONITOR_TIMEOUT_MS = 10_000;

/** What QEMU is started with for a guest. */
export function qemuArguments(paths: GuestPaths, { jobId, size }: GuestSpec): string[] {
  // In QEMU's options a comma separates, and two are one.
  const at = (path: string) => path.replaceAll(",", ",,");
  const disk = (file: string, more: string) => ["-drive", `file=${at(file)},if=virtio,${more}`];
  return [
    ...[
      "-name",
      guestName(jobId),
      "-machine",
      "q35,accel=tcg",
      "-nodefaults",
      "-display",
      "none",
      "-no-reboot",
    ],
    ...["-m", String(size.ramMb), "-smp", String(size.cpu), "-sandbox", "on"],
    ...disk(paths.overlay, "format=qcow2"),
    ...disk(paths.seed, "format=raw,readonly=on"),
    ...["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net"],
    ...["-chardev", `file,id=console,path=${at(paths.console)},append=on`, "-serial", "chardev:console"],
    ...["-chardev", `socket,id=shell,path=${at(paths.shell)},server=on,wait=off`, "-serial", "chardev:shell"],
    ...["-qmp", `unix:${at(paths.monitor)},server=on,wait=off`],
  ];
}

// recipe: observe
/** The processes of a guest, by what they were started with: a number in a file may be another process' by now. */
export async function findProcesses({ directory }: GuestPaths, program = "qemu-"): Promise<number[]> {
  const entries = await readdir("/proc");
  const pids = entries.filter((name) => /^[1-9]\d*$/.test(name)).map(Number);
  const isOurs = async (pid: number) => {
    const [name = "", ...args] = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    return basename(name).startsWith(program) && args.some((word) => word.includes(`${directory}/`));
  };
  const found = await Promise.all(pids.map(isOurs));
  return pids.filter((_, index) => found[index]);
}

/** Whether a guest has power. */
export async function isPowered(paths: GuestPaths): Promise<boolean> {
  return (await findProcesses(paths, PROGRAM)).length > 0;
}
// recipe: end

/** Starts a guest, or waits for a start that is under way, until its monitor answers; `onExit` is told of its end. */
export async function powerOn(paths: GuestPaths, args: readonly string[], onExit: () => void): Promise<void> {
  let isStarted = false;
  for (let round = 1; round <= MAX_ROUNDS; round += 1) {
    if (await isPowered(paths)) {
      if (await answers(paths)) return;
      await delay(ROUND_MS);
    } else if (isStarted) {
      throw new SolsticeError("hypervisor_failed", `QEMU ended: ${await readFile(paths.log, "utf8")}`);
    } else {
      await spawnQemu(paths, args, onExit);
      isStarted = true;
    }
  }
  throw new SolsticeError("hypervisor_failed", "QEMU was started and does not answer.");
}

/** It outlives this process, and sees nothing of its environment, in which there are secrets. */
async function spawnQemu(paths: GuestPaths, args: readonly string[], onExit: () => void): Promise<void> {
  const log = await open(paths.log, "w", 0o600);
  try {
    const env = { PATH: process.env.PATH };
    const child = spawn(PROGRAM, args, { detached: true, stdio: ["ignore", log.fd, log.fd], env });
    child.once("exit", onExit);
    child.unref();
    await once(child, "spawn");
  } catch (error) {
    throw missingTool(PROGRAM, error);
  } finally {
    await log.close();
  }
}

/** Ends every process of a guest, also a tool of a `create` that was killed, and waits until none is left. */
export async function killProcesses(paths: GuestPaths): Promise<void> {
  for (let round = 1; round <= MAX_ROUNDS; round += 1) {
    const pids = await findProcesses(paths);
    if (pids.length === 0) return;
    for (const pid of pids) kill(pid);
    await delay(ROUND_MS);
  }
  throw new SolsticeError("hypervisor_failed", `The processes of ${paths.directory} do not end.`);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

/** Connects to a socket of a guest; rejects where nobody listens there. */
export async function connectTo(path: string): Promise<Socket> {
  const socket = connect(path);
  await once(socket, "connect");
  return socket;
}

async function answers({ monitor }: GuestPaths): Promise<boolean> {
  try {
    (await connectTo(monitor)).destroy();
    return true;
  } catch {
    return false;
  }
}

/** Presses the guest's power button. Rejects where its monitor does not answer. */
export async function pressPowerButton(paths: GuestPaths): Promise<void> {
  const socket = await connectTo(paths.monitor);
  socket.setTimeout(MONITOR_TIMEOUT_MS, () => socket.destroy(new Error("QEMU's monitor is silent")));
  try {
    const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
    await lines.next(); // Its greeting.
    for (const execute of ["qmp_capabilities", "system_powerdown"]) {
      socket.write(`${JSON.stringify({ execute })}\n`);
      await lines.next();
    }
  } finally {
    socket.destroy();
  }
}
