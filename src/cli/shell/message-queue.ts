/** Most bytes in the queue before the source must pause. */
const waitingBytesMax = 256 * 1024;

/** A queue of messages: one side pushes, the other iterates. */
export class MessageQueue<Message> implements AsyncIterable<Message> {
  readonly #waiting: { readonly message: Message; readonly bytes: number }[] = [];
  #waitingBytes = 0;
  #hasEnded = false;
  #wake: () => void = () => {};
  #drained: () => void = () => {};

  /** Adds a message of `bytes` bytes. False when the queue is full: wait for `onDrain` before the next push. */
  push(message: Message, bytes = 0): boolean {
    if (this.#hasEnded) return true;
    this.#waiting.push({ message, bytes });
    this.#waitingBytes += bytes;
    this.#wake();
    return this.#waitingBytes < waitingBytesMax;
  }

  /** Sets the callback for a queue that has room again. */
  onDrain(drained: () => void): void {
    this.#drained = drained;
  }

  /** Ends the queue after the messages that wait. */
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
