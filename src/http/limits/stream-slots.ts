import { SolsticeError } from "../../core/errors.ts";

/** Counts the open streams, and refuses more than `limit`. */
export class StreamSlots {
  readonly #limit: number;
  #open = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The number of open streams. */
  get open(): number {
    return this.#open;
  }

  /** Takes a slot until the returned value is disposed of. Throws `limit_exceeded` when all are taken. */
  take(): Disposable {
    if (this.#open >= this.#limit) {
      throw new SolsticeError("limit_exceeded", `All ${this.#limit} streams of this server are in use.`, {
        remedy: "Close another `solstice logs -f` or dashboard, or retry later.",
      });
    }
    this.#open += 1;
    return {
      [Symbol.dispose]: () => {
        this.#open -= 1;
      },
    };
  }
}
