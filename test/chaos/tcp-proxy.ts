import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A wire between a program and a server on loopback, which can be cut. */
export interface TcpProxy {
  readonly port: number;
  /**
   * Nothing passes any more, in either direction, and nobody is told: as when a switch dies. What was on its way waits.
   */
  cut(): void;
  /** Closes every connection, and each new one at once: as when the server was killed. */
  drop(): void;
  /** Everything passes again, what waited first. */
  repair(): void;
  close(): Promise<void>;
}

/** Starts one, on a free port, that leads to `port`. */
export async function startTcpProxy(port: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let isCut = false;
  let isDropped = false;
  const server = createServer({ pauseOnConnect: true }, (near) => {
    if (isDropped) {
      near.destroy();
      return;
    }
    const far = connect({ port, host: "127.0.0.1" });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("data", (chunk) => to.write(chunk));
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      if (isCut) from.pause();
      else from.resume();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new TypeError("a TCP server has a port");
  return {
    port: address.port,
    cut() {
      isCut = true;
      for (const socket of sockets) socket.pause();
    },
    drop() {
      isDropped = true;
      for (const socket of sockets) socket.destroy();
    },
    repair() {
      isCut = false;
      isDropped = false;
      for (const socket of sockets) socket.resume();
    },
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  };
}
