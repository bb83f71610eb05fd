import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/**
 * Handling of a new connection: `pass`; `refuse` it with a reset; `stall`: accept it, read and never answer; `freeze`:
 * pass no data in either direction, without an error; cut it after some bytes of the request, or of the answer; or
 * limit the bytes per second.
 */
export type WireFault =
  | "pass"
  | "refuse"
  | "stall"
  | "freeze"
  | { readonly cutRequestAfter: number }
  | { readonly cutAnswerAfter: number }
  | { readonly bytesPerSecond: number };

/** A connection between a runner and its endpoint with faults. */
export interface FaultyWire {
  readonly url: string;
  /** Called for each new connection with its number, from 0. */
  fault: (connection: number) => WireFault;
  connections(): number;
  close(): Promise<void>;
}

/** Opens a faulty wire from a free port of loopback to `port`. */
export async function layWire(port: number): Promise<FaultyWire> {
  const sockets = new Set<Socket>();
  let count = 0;
  const server = createServer({ pauseOnConnect: true }, (near) => {
    keep(sockets, near);
    const fault = wire.fault(count);
    count += 1;
    if (fault === "refuse") near.resetAndDestroy();
    else if (fault === "stall") near.resume();
    else if (fault !== "freeze") {
      const far = connect({ port, host: "127.0.0.1" });
      keep(sockets, far);
      join(near, far, fault);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new TypeError("a TCP server has a port");
  const wire: FaultyWire = {
    url: `http://127.0.0.1:${address.port}`,
    fault: () => "pass",
    connections: () => count,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  };
  return wire;
}

function keep(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  socket.on("error", () => {});
  socket.on("close", () => sockets.delete(socket));
}

function join(near: Socket, far: Socket, fault: Exclude<WireFault, "refuse" | "stall" | "freeze">): void {
  const limits: { cutRequestAfter?: number; cutAnswerAfter?: number; bytesPerSecond?: number } =
    fault === "pass" ? {} : fault;
  const { cutRequestAfter, cutAnswerAfter, bytesPerSecond: speed = Infinity } = limits;
  pass(near, far, { speed, cutAfter: cutRequestAfter ?? Infinity });
  pass(far, near, { speed, cutAfter: cutAnswerAfter ?? Infinity });
}

/** Passes on all data and the end. A cut resets both sides. */
function pass(from: Socket, to: Socket, { speed, cutAfter }: { speed: number; cutAfter: number }): void {
  let passed = 0;
  from.on("data", (chunk: Buffer) => {
    const rest = chunk.subarray(0, cutAfter - passed);
    passed += rest.length;
    to.write(rest);
    if (rest.length < chunk.length) {
      from.resetAndDestroy();
      to.resetAndDestroy();
    } else if (speed !== Infinity) {
      from.pause();
      void delay((rest.length / speed) * 1000).then(() => from.resume());
    }
  });
  from.on("end", () => to.end());
  from.on("close", () => to.destroy());
  from.resume();
}
