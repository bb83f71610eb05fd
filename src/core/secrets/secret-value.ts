const shown = "[secret]";

/**
 * A text that must not get into a log, a message or an error by mistake: whatever prints or serialises it gets
 * `[secret]`. Who means the text asks for it with `reveal`.
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
