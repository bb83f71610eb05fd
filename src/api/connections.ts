import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";

/** The open connections, and how many of them each address has. */
export class Connections {
  /** All of them. */
  readonly sockets = new Set<Socket>();
  /** Those that have not said enough to tell their protocol. */
  readonly undecided = new Set<Socket>();
  /** Those that speak HTTP/2. */
  readonly sessions = new Map<ServerHttp2Session, Socket>();
  readonly #maxPerAddress: number;
  readonly #perAddress = new Map<string, number>();

  constructor(maxPerAddress: number) {
    this.#maxPerAddress = maxPerAddress;
  }

  /** Takes a connection on record until it closes; false when its address has too many. */
  admit(socket: Socket): boolean {
    const address = socket.remoteAddress ?? "";
    const count = this.#perAddress.get(address) ?? 0;
    if (count >= this.#maxPerAddress && !isLoopback(address)) return false;
    this.#perAddress.set(address, count + 1);
    this.sockets.add(socket);
    socket.once("close", () => {
      this.sockets.delete(socket);
      const left = (this.#perAddress.get(address) ?? 1) - 1;
      if (left === 0) this.#perAddress.delete(address);
      else this.#perAddress.set(address, left);
    });
    return true;
  }
}

function isLoopback(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\./.test(address);
}
