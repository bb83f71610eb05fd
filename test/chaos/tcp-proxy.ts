import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A TCP proxy on loopback between a program and a server, whose traffic can be interrupted. */
export interface TcpProxy {
  readonly port: number;
  /** Stops all traffic in both directions without closing connections, as when a switch fails. Data in flight waits. */
  cut(): void;
  /** Closes every connection, and each new one at once, as when the server was killed. */
  drop(): void;
  /** Forwards all traffic again, first the data that waited. */
  repair(): void;
  close(): Promise<void>;
}

/** Starts a proxy on a free port that forwards to `port`. */
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
