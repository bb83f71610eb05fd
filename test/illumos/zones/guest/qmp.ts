import { connect, type Socket } from "node:net";
import { join } from "node:path";
import type { Context } from "../../host/context.ts";

const answerDeadlineMs = 3_000;

/** The socket of the monitor of a zone's QEMU. */
export function monitorPath({ directory }: Pick<Context, "directory">, zone: string): string {
  return join(directory, "q", zone);
}

/** Presses the guest's ACPI power button; false when QEMU does not respond, because it still waits for its console. */
export async function pressPowerButton(context: Context, zone: string): Promise<boolean> {
  return converse(monitorPath(context, zone), ["qmp_capabilities", "system_powerdown"]);
}

/** True when QEMU's monitor responds: from then on the guest is running. */
export async function answers(context: Context, zone: string): Promise<boolean> {
  return converse(monitorPath(context, zone), ["qmp_capabilities"]);
}

/** Sends commands one after the other; true when all responses arrived in time. */
function converse(path: string, commands: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const socket: Socket = connect(path);
    const finish = (result: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => finish(false), answerDeadlineMs);
    const waiting = [...commands];
    let rest = "";
    socket.on("error", () => finish(false));
    socket.on("close", () => finish(false));
    socket.on("data", (chunk) => {
      rest += chunk.toString();
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (!/^\{"(QMP|return)"/.test(line.trim())) continue;
        const next = waiting.shift();
        if (next === undefined) return finish(true);
        socket.write(`${JSON.stringify({ execute: next })}\n`);
      }
    });
  });
}
