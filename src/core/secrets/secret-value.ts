const shown = "[secret]";

/**
 * A text that must not get into a log, a message or an error by mistake: printing or serialising it gives `[secret]`.
 * Code that needs the text calls `reveal`.
 */
export class SecretValue {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  /** For `console.log` and `util.inspect`. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return shown;
  }
}
