import { connect, type Socket } from "node:net";
import { join } from "node:path";
import type { Context } from "../../host/context.ts";

const answerDeadlineMs = 3_000;

/** Where the monitor of a zone's QEMU listens. */
export function monitorPath({ directory }: Pick<Context, "directory">, zone: string): string {
  return join(directory, "q", zone);
}

/** Asks the guest's ACPI to power off; false when QEMU does not answer, because it still waits for its console. */
export async function pressPowerButton(context: Context, zone: string): Promise<boolean> {
  return converse(monitorPath(context, zone), ["qmp_capabilities", "system_powerdown"]);
}

/** Whether QEMU's monitor answers: from then on the guest runs. */
export async function answers(context: Context, zone: string): Promise<boolean> {
  return converse(monitorPath(context, zone), ["qmp_capabilities"]);
}

/** Sends commands one after the other; true when all were answered in time. */
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
