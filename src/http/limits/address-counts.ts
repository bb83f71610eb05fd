/** Counts what each network address holds, so that one guest cannot take the share of the others. */
export class AddressCounts {
  readonly #limit: number;
  readonly #isShared: (address: string) => boolean;
  readonly #counts = new Map<string, number>();

  /** `isShared` says which addresses many callers have in common: those are counted with nobody. */
  constructor(limit: number, isShared: (address: string) => boolean) {
    this.#limit = limit;
    this.#isShared = isShared;
  }

  /** Counts one more of an address; false, and nothing is counted, when it has `limit` already. */
  take(address: string): boolean {
    const count = this.#counts.get(address) ?? 0;
    if (count >= this.#limit && !this.#isShared(address)) return false;
    this.#counts.set(address, count + 1);
    return true;
  }

  /** Takes back one {@link take} that was true. */
  give(address: string): void {
    const left = (this.#counts.get(address) ?? 1) - 1;
    if (left === 0) this.#counts.delete(address);
    else this.#counts.set(address, left);
  }
}

/** Whether an address is this host's own: of a reverse proxy, or of guests that are processes here. */
export function isLoopback(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\./.test(address);
}
