import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { identify, type ProcessIdentity } from "../host/processes.ts";
import type { Machine } from "./machine.ts";

/** A guest that a failed test leaves behind ends after this, in seconds. */
const longestLifeSeconds = "3600";

/**
 * A guest without a machine: a process that sleeps, and sockets of this process that behave as a booted guest's. Its seed says
 * how it behaves: `behaviour: obedient` (ends when its power button is pressed), `deaf` (says that it heard), or `brief` (ends
 * by itself). Each says "guest is up", and gives back what comes on its second line.
 */
export function startScriptedGuest(machine: Machine): ProcessIdentity {
  const child = spawn("sleep", [longestLifeSeconds], { detached: true, stdio: "ignore" });
  const identity = child.pid === undefined ? null : identify(child.pid);
  if (identity === null) throw new Error("sleep cannot be started");
  const guest = { child, behaviour: behaviourOf(machine), console: { isRead: false, socket: null } };
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
  // Neither keeps a process alive that has nothing else to do.
  child.unref();
  for (const server of servers) server.unref();
  return identity;
}

interface ScriptedGuest {
  readonly child: ChildProcess;
  readonly behaviour: string;
  readonly console: { isRead: boolean; socket: Socket | null };
}

function behaviourOf({ disks }: Machine): string {
  const seeds = disks.filter(({ readOnly }) => readOnly).map(({ file }) => readFileSync(file, "latin1"));
  return /behaviour: (\w+)/.exec(seeds.join("\n"))?.[1] ?? "obedient";
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

function say({ console }: ScriptedGuest, text: string): void {
  console.socket?.write(text);
}

/** As QEMU's monitor, of which the stand-in uses the greeting, and the power button. */
function answerMonitor(socket: Socket, guest: ScriptedGuest): void {
  socket.write('{"QMP": {}}\n');
  socket.setEncoding("utf8").on("data", (text: string) => {
    socket.write('{"return": {}}\n');
    if (!text.includes("system_powerdown")) return;
    if (guest.behaviour === "deaf") say(guest, "heard and ignored\n");
    else guest.child.kill("SIGKILL");
  });
}
