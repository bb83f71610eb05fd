/** Maximum number of prepared statements of each connection. The store has few, fixed statements; lists vary some. */
const maxNamed = 500;

/**
 * Names for prepared statements, the same on all connections: a named statement is parsed once per connection, which
 * halves its cost. Beyond the limit a statement has no name, and is parsed each time.
 */
export class StatementNames {
  readonly #names = new Map<string, string>();
  #count = 0;

  /** The name to prepare `text` under; null for no name. */
  nameOf(text: string): string | null {
    const known = this.#names.get(text);
    if (known !== undefined) return known;
    if (this.#names.size >= maxNamed) return null;
    this.#count += 1;
    const name = `s${this.#count}`;
    this.#names.set(text, name);
    return name;
  }

  /** Gives new names from now on, so that every statement is prepared again. */
  forget(): void {
    this.#names.clear();
  }
}
