import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { identify, type ProcessIdentity } from "../../host/processes.ts";
import type { Machine } from "./machine.ts";
import { longestLifeSeconds, startRunner } from "./runner-guest.ts";

/**
 * A guest without a machine: a process, and sockets of this process that behave like those of a booted guest. Its
 * seed defines the behaviour: `behaviour: obedient` (ends when its power button is pressed), `deaf` (prints that the
 * button was pressed), or `brief` (ends by itself). A seed with the runner makes a guest that runs its job, and ends.
 * Each prints "guest is up", and echoes the input of its second line.
 */
export function startScriptedGuest(machine: Machine): ProcessIdentity {
  const seed = seedOf(machine);
  const child = startRunner(machine, seed) ?? startSleep();
  const identity = child.pid === undefined ? null : identify(child.pid);
  if (identity === null) throw new Error(`${child.spawnfile} cannot be started`);
  const behaviour = /behaviour: (\w+)/.exec(seed)?.[1] ?? "obedient";
  const guest: ScriptedGuest = { child, behaviour, console: { isRead: false, socket: null } };
  for (const output of [child.stdout, child.stderr]) output?.on("data", (text) => say(guest, text));
  const open = new Set<Socket>();
  const serve = (path: string, answer: (socket: Socket) => void): Server =>
    createServer((socket) => {
      open.add(socket);
      socket.on("error", () => socket.destroy()).once("close", () => open.delete(socket));
      answer(socket);
    }).listen(path);
  const servers = [
    serve(machine.monitor, (socket) => answerMonitor(socket, guest)),
    ...machine.sockets.map(({ port, path }) =>
      serve(path, port === 1 ? (socket) => speak(socket, guest) : (socket) => void socket.pipe(socket)),
    ),
  ];
  child.once("exit", () => {
    for (const socket of open) socket.end();
    for (const server of servers) server.close();
  });
  // The child must not keep this process alive.
  child.unref();
  for (const held of [child.stdout, child.stderr, ...servers]) (held as Socket | Server | null)?.unref();
  return identity;
}

interface ScriptedGuest {
  readonly child: ChildProcess;
  readonly behaviour: string;
  readonly console: { isRead: boolean; socket: Socket | null };
}

function startSleep(): ChildProcess {
  return spawn("sleep", [longestLifeSeconds], { detached: true, stdio: "ignore" });
}

function seedOf({ disks }: Machine): string {
  const seeds = disks.filter(({ readOnly }) => readOnly).map(({ file }) => readFileSync(file, "latin1"));
  return seeds.join("\n");
}

/** The guest waits for its first reader, as bhyve does. */
function speak(socket: Socket, guest: ScriptedGuest): void {
  const { console } = guest;
  const isFirst = !console.isRead;
  console.isRead = true;
  console.socket = socket;
  socket.resume();
  if (isFirst) say(guest, "guest is up\n");
  if (isFirst && guest.behaviour === "brief") socket.end(() => guest.child.kill("SIGKILL"));
}

function say({ console }: ScriptedGuest, text: string | Buffer): void {
  console.socket?.write(text);
}

/** Behaves like QEMU's monitor, of which the stand-in uses the greeting and the power button. */
function answerMonitor(socket: Socket, guest: ScriptedGuest): void {
  socket.write('{"QMP": {}}\n');
  socket.setEncoding("utf8").on("data", (text: string) => {
    socket.write('{"return": {}}\n');
    if (!text.includes("system_powerdown")) return;
    if (guest.behaviour === "deaf") say(guest, "power button ignored\n");
    else guest.child.kill("SIGKILL");
  });
}
