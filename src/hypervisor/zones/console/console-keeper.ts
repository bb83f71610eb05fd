import { createConnection, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { hasErrorCode } from "../../../host/error-code.ts";
import { type ConsoleFile, openConsoleFile } from "./console-file.ts";
import { consoleSocket, socketPath } from "./sockets.ts";

/** Pauses between attempts to connect to a guest's console, in ms: at first, and after a while. */
const connectPauseMs = 100;
const latePauseMs = 2000;
const lateAfterMs = 30_000;

/** Time limit in ms for the last bytes of a guest that has ended. */
const drainMs = 3000;

/** A guest whose console must be stored. */
export interface ConsoleOrder {
  readonly jobId: string;
  readonly zonePath: string;
  /** Path of the console's file. */
  readonly file: string;
  /** True when the guest ran without a reader: then the file notes that, if it has content. */
  readonly mayHaveMissed: boolean;
}

/** Copies the consoles of running guests into their files. */
export interface ConsoleKeeper {
  /** Starts to read a console. Idempotent. */
  keep(order: ConsoleOrder): void;
  /** Resolves once all output of a guest without power is in its file; at once without a reader. */
  drained(jobId: string): Promise<void>;
  /** Ends the reader of an ended guest, after it has read everything. */
  finish(jobId: string): void;
  /** Ends a reader, and resolves after its last write. */
  stop(jobId: string): Promise<void>;
  close(): Promise<void>;
}

/** Callbacks of {@link createConsoleKeeper}. */
export interface ConsoleEvents {
  /** A console was closed: its guest may have ended. */
  readonly onEnd: (jobId: string) => void;
  /** bhyve was restarted while its console was read: the guest has restarted itself. */
  readonly onRestart: (jobId: string) => void;
}

interface Reader {
  readonly stopping: AbortController;
  socket: Socket | null;
  /** Resolves when the present connection is closed and its data written. */
  session: Promise<void>;
  done: Promise<void>;
}

/** Creates the keeper of one host's consoles. */
export function createConsoleKeeper(events: ConsoleEvents): ConsoleKeeper {
  const readers = new Map<string, Reader>();
  const stop = async (jobId: string) => {
    const reader = readers.get(jobId);
    if (reader === undefined) return;
    reader.stopping.abort();
    reader.socket?.destroy();
    await reader.done;
  };
  return {
    keep(order) {
      if (readers.has(order.jobId)) return;
      const reader: Reader = {
        stopping: new AbortController(),
        socket: null,
        session: Promise.resolve(),
        done: Promise.resolve(),
      };
      readers.set(order.jobId, reader);
      reader.done = readAll(order, reader, events)
        // A write error must not end the job; the console is then incomplete.
        .catch(() => {})
        .finally(() => {
          if (readers.get(order.jobId) === reader) readers.delete(order.jobId);
        });
    },
    async drained(jobId) {
      const reader = readers.get(jobId);
      if (reader !== undefined)
        await Promise.race([reader.session, delay(drainMs, undefined, { ref: false })]);
    },
    finish(jobId) {
      const reader = readers.get(jobId);
      if (reader === undefined) return;
      void Promise.race([reader.session, delay(drainMs, undefined, { ref: false })]).then(() => {
        reader.stopping.abort();
        reader.socket?.destroy();
      });
    },
    stop,
    async close() {
      await Promise.all([...readers.keys()].map(stop));
    },
  };
}

async function readAll(order: ConsoleOrder, reader: Reader, events: ConsoleEvents): Promise<void> {
  const { signal } = reader.stopping;
  const path = socketPath(order.zonePath, consoleSocket);
  for (let connections = 0; ; connections += 1) {
    const socket = await connect(path, signal);
    if (socket === null) return;
    reader.socket = socket;
    if (connections > 0) events.onRestart(order.jobId);
    reader.session = copy(socket, order, connections);
    await reader.session;
    reader.socket = null;
    if (signal.aborted) return;
    events.onEnd(order.jobId);
  }
}

async function copy(socket: Socket, order: ConsoleOrder, connections: number): Promise<void> {
  const file = await openConsoleFile(order.file);
  try {
    if (connections > 0) await file.note("the guest restarted itself and is ended");
    else if (order.mayHaveMissed && file.hasContent)
      await file.note("output may be missing here: no orchestrator was reading");
    await copyTo(file, socket);
  } finally {
    await file.close();
  }
}

async function copyTo(file: ConsoleFile, socket: Socket): Promise<void> {
  try {
    for await (const bytes of socket) await file.append(bytes as Buffer);
  } catch (error) {
    // The socket does not report how bhyve ended; the received bytes are in the file.
    if (!hasErrorCode(error, "ECONNRESET", "EPIPE", "ERR_STREAM_PREMATURE_CLOSE", "ABORT_ERR")) throw error;
  }
}

/** Connects as soon as a server listens; null after `signal` has aborted. */
async function connect(path: string, signal: AbortSignal): Promise<Socket | null> {
  const began = performance.now();
  while (!signal.aborted) {
    const socket = await tryToConnect(path);
    if (socket !== null && !signal.aborted) return socket;
    socket?.destroy();
    const pauseMs = performance.now() - began > lateAfterMs ? latePauseMs : connectPauseMs;
    await delay(pauseMs, undefined, { signal, ref: false }).catch(() => {});
  }
  return null;
}

function tryToConnect(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once("connect", () => resolve(socket));
    // Keep this listener: a connection can be reset before its first read.
    socket.on("error", () => resolve(null));
  });
}
