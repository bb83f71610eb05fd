import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { AddressCounts } from "./address-counts.ts";

/** The open connections, counted per address. */
export class Connections {
  /** All open connections. */
  readonly sockets = new Set<Socket>();
  /** Connections that have not sent enough to detect their protocol. */
  readonly undecided = new Set<Socket>();
  /** Connections that use HTTP/2. */
  readonly sessions = new Map<ServerHttp2Session, Socket>();
  readonly #perAddress: AddressCounts;

  constructor(perAddress: AddressCounts) {
    this.#perAddress = perAddress;
  }

  /** Records a connection until it closes. Returns false when its address has too many. */
  admit(socket: Socket): boolean {
    const address = socket.remoteAddress ?? "";
    if (!this.#perAddress.take(address)) return false;
    this.sockets.add(socket);
    socket.once("close", () => {
      this.sockets.delete(socket);
      this.#perAddress.give(address);
    });
    return true;
  }
}
