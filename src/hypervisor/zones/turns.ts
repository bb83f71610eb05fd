/** Lets work be done one after the other, in the order it came. */
export interface Turns {
  run<Result>(work: () => Promise<Result>): Promise<Result>;
}

/** A queue of its own. */
export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  return {
    run(work) {
      const done = last.then(work);
      last = done.catch(() => {});
      return done;
    },
  };
}
