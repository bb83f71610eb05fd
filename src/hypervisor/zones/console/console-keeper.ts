import { createConnection, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { hasErrorCode } from "../../../host/error-code.ts";
import { type ConsoleFile, openConsoleFile } from "./console-file.ts";
import { consoleSocket, socketPath } from "./sockets.ts";

/** Between two tries to connect to a guest's console, in ms: at first, and once it takes long. */
const connectPauseMs = 100;
const latePauseMs = 2000;
const lateAfterMs = 30_000;

/** How long the last bytes of a guest that has ended are waited for, in ms. */
const drainMs = 3000;

/** A guest whose console is to be kept. */
export interface ConsoleOrder {
  readonly jobId: string;
  readonly zonePath: string;
  /** Where the console goes. */
  readonly file: string;
  /** Whether it ran while nobody read: then the file says so, where it has something already. */
  readonly mayHaveMissed: boolean;
}

/** Reads the consoles of running guests into their files. */
export interface ConsoleKeeper {
  /** Begins to read; a guest that is read already is read on. */
  keep(order: ConsoleOrder): void;
  /** Resolves once all that a guest without power has said is in its file; at once where nothing is read. */
  drained(jobId: string): Promise<void>;
  /** Ends a reader whose guest has ended, once it has read all. */
  finish(jobId: string): void;
  /** Ends a reader, and resolves when it writes no more. */
  stop(jobId: string): Promise<void>;
  close(): Promise<void>;
}

/** What {@link createConsoleKeeper} tells of. */
export interface ConsoleEvents {
  /** A console was closed: its guest may have ended. */
  readonly onEnd: (jobId: string) => void;
  /** bhyve was started again while its guest was read: the guest has restarted itself. */
  readonly onRestart: (jobId: string) => void;
}

interface Reader {
  readonly stopping: AbortController;
  socket: Socket | null;
  /** Resolves when the connection of the moment is closed and written. */
  session: Promise<void>;
  done: Promise<void>;
}

/** The consoles of one host's guests. */
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
        // A console that cannot be written is no reason to end a job; what is missing is seen in it.
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
    if (connections > 0) await file.note("the guest restarted itself, which ends it");
    else if (order.mayHaveMissed && file.hasContent)
      await file.note("what the guest said meanwhile was not read");
    await copyTo(file, socket);
  } finally {
    await file.close();
  }
}

async function copyTo(file: ConsoleFile, socket: Socket): Promise<void> {
  try {
    for await (const bytes of socket) await file.append(bytes as Buffer);
  } catch (error) {
    // How bhyve ends is not said by its socket; what was read before is in the file.
    if (!hasErrorCode(error, "ECONNRESET", "EPIPE", "ERR_STREAM_PREMATURE_CLOSE", "ABORT_ERR")) throw error;
  }
}

/** Connects as soon as somebody listens; null once `signal` says to stop. */
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
    // It stays: a connection can be reset before anybody reads from it.
    socket.on("error", () => resolve(null));
  });
}
