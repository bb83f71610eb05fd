import { SolsticeError } from "../../core/errors.ts";

/** Counts the streams that are open, and refuses more than `limit`. */
export class StreamSlots {
  readonly #limit: number;
  #open = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many streams are open. */
  get open(): number {
    return this.#open;
  }

  /** Takes a slot until the returned value is disposed of. Throws `limit_exceeded` when all are taken. */
  take(): Disposable {
    if (this.#open >= this.#limit) {
      throw new SolsticeError(
        "limit_exceeded",
        `${this.#limit} streams are open already, which is the limit.`,
        {
          remedy: "End another `solstice logs -f` or dashboard, or try again later.",
        },
      );
    }
    this.#open += 1;
    return {
      [Symbol.dispose]: () => {
        this.#open -= 1;
      },
    };
  }
}
