/** How many bytes may wait to be sent before their source has to. */
const waitingBytesMax = 256 * 1024;

/** Messages that are pushed on one side and taken on the other. */
export class MessageQueue<Message> implements AsyncIterable<Message> {
  readonly #waiting: { readonly message: Message; readonly bytes: number }[] = [];
  #waitingBytes = 0;
  #hasEnded = false;
  #wake: () => void = () => {};
  #drained: () => void = () => {};

  /** Adds one of `bytes` bytes; false: wait for `onDrain` before the next. */
  push(message: Message, bytes = 0): boolean {
    if (this.#hasEnded) return true;
    this.#waiting.push({ message, bytes });
    this.#waitingBytes += bytes;
    this.#wake();
    return this.#waitingBytes < waitingBytesMax;
  }

  /** Sets what is called when there is room again. */
  onDrain(drained: () => void): void {
    this.#drained = drained;
  }

  /** Nothing more will be pushed. */
  end(): void {
    this.#hasEnded = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Message> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next) {
        this.#waitingBytes -= next.bytes;
        if (this.#waitingBytes < waitingBytesMax) this.#drained();
        yield next.message;
      } else if (this.#hasEnded) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
