import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { errorText, SolsticeError } from "../../../core/errors.ts";
import { guestName } from "../../../core/job/job.ts";
import type { GuestShell } from "../../hypervisor.ts";
import { shellSocket, socketPath } from "../console/sockets.ts";
import type { ZonesHost } from "../host.ts";
import { findOwnZone } from "./power.ts";

/** Control-D, which a terminal treats as end of input at the beginning of a line. */
const endOfInput = 0x04;

/** Time limit for bhyve's answer, in ms. */
const connectMs = 10_000;

/** The open lines, by job: bhyve serves one at a time. */
export type OpenShells = Map<string, Socket>;

/**
 * Opens the guest's second serial line, and replaces an open one. Unread output waits in the guest's terminal, which
 * buffers about 64 KiB. Throws `hypervisor_failed` for a guest that does not run or has no such line.
 */
export async function openShell(host: ZonesHost, shells: OpenShells, jobId: string): Promise<GuestShell> {
  const zone = await findOwnZone(host, jobId);
  if (zone?.state !== "running") {
    throw new SolsticeError("hypervisor_failed", `There is no running guest ${guestName(jobId)} to enter.`, {
      remedy: "See `solstice jobs`: only a guest on hold can be entered.",
    });
  }
  shells.get(jobId)?.destroy();
  const socket = await connect(socketPath(zone.path, shellSocket), jobId);
  shells.set(jobId, socket);
  socket.once("close", () => {
    if (shells.get(jobId) === socket) shells.delete(jobId);
  });
  return {
    stream: socket,
    endInput(isLineBegun) {
      // In the middle of a line the first one only passes on the begun line.
      socket.write(Buffer.from(isLineBegun ? [endOfInput, endOfInput] : [endOfInput]));
    },
    async resize() {},
  };
}

async function connect(path: string, jobId: string): Promise<Socket> {
  const socket = createConnection(path);
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(connectMs) });
    return socket;
  } catch (error) {
    socket.destroy();
    throw new SolsticeError(
      "hypervisor_failed",
      `${guestName(jobId)} has no line for shells: ${errorText(error)}.`,
      {
        remedy: "Only guests of jobs with hold_on_failure_seconds have such a line.",
        cause: error,
      },
    );
  }
}
