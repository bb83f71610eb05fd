import { SolsticeError } from "../../core/errors.ts";

/** Time limit of one wait. */
export interface Bound {
  readonly milliseconds: number;
  /** Subject of the error text: "The broker's confirm". */
  readonly what: string;
}

/** Settles like `promise`, or rejects with `broker_unavailable` after the time limit. */
export async function bounded<Value>(promise: Promise<Value>, { milliseconds, what }: Bound): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new SolsticeError("broker_unavailable", `${what} timed out after ${milliseconds} ms.`));
    }, milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
