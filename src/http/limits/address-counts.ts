/** Counts what each network address uses, so that one guest cannot take the share of the others. */
export class AddressCounts {
  readonly #limit: number;
  readonly #isShared: (address: string) => boolean;
  readonly #counts = new Map<string, number>();

  /** `isShared` is true for addresses that many callers share: these have no limit. */
  constructor(limit: number, isShared: (address: string) => boolean) {
    this.#limit = limit;
    this.#isShared = isShared;
  }

  /** Counts one more for an address. Returns false, and counts nothing, when the address is at `limit`. */
  take(address: string): boolean {
    const count = this.#counts.get(address) ?? 0;
    if (count >= this.#limit && !this.#isShared(address)) return false;
    this.#counts.set(address, count + 1);
    return true;
  }

  /** Releases one {@link take} that returned true. */
  give(address: string): void {
    const left = (this.#counts.get(address) ?? 1) - 1;
    if (left === 0) this.#counts.delete(address);
    else this.#counts.set(address, left);
  }
}
