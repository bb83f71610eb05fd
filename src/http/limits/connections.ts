import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { AddressCounts } from "./address-counts.ts";

/** The open connections, and how many of them each address has. */
export class Connections {
  /** All of them. */
  readonly sockets = new Set<Socket>();
  /** Those that have not said enough to tell their protocol. */
  readonly undecided = new Set<Socket>();
  /** Those that speak HTTP/2. */
  readonly sessions = new Map<ServerHttp2Session, Socket>();
  readonly #perAddress: AddressCounts;

  constructor(perAddress: AddressCounts) {
    this.#perAddress = perAddress;
  }

  /** Takes a connection on record until it closes; false when its address has too many. */
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
