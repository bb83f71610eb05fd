import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Counts the open calls of each HTTP/1.1 connection. */
export class Pipelines {
  readonly #limit: number;
  readonly #open = new WeakMap<Socket, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Counts a call until its response closes. Returns false when the connection already has `limit` open
   * calls.
   */
  admit(socket: Socket, response: ServerResponse): boolean {
    const open = this.#open.get(socket) ?? 0;
    if (open >= this.#limit) return false;
    this.#open.set(socket, open + 1);
    response.once("close", () => this.#open.set(socket, (this.#open.get(socket) ?? 1) - 1));
    return true;
  }
}
