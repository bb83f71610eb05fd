/** Runs tasks of one key one after the other; tasks of different keys run concurrently. */
export interface KeyedLock {
  /** Runs `task` after every earlier task of `key` has ended, and passes on its result or error. */
  run<Result>(key: string, task: () => Promise<Result>): Promise<Result>;
}

/** Creates a lock without keys. A key uses memory only while a task runs or waits for it. */
export function createKeyedLock(): KeyedLock {
  const tails = new Map<string, Promise<unknown>>();
  return {
    run(key, task) {
      const before = tails.get(key) ?? Promise.resolve();
      const result = before.then(task, task);
      const tail = result.then(
        () => undefined,
        () => undefined,
      );
      tails.set(key, tail);
      void tail.then(() => {
        if (tails.get(key) === tail) tails.delete(key);
      });
      return result;
    },
  };
}
