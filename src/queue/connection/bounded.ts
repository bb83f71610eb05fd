import { SolsticeError } from "../../core/errors.ts";

/** What a wait is bounded by. */
export interface Bound {
  readonly milliseconds: number;
  /** Named in the error: "the broker's confirm". */
  readonly what: string;
}

/** Settles as `promise` does, or rejects with `broker_unavailable` when that takes longer. */
export async function bounded<Value>(promise: Promise<Value>, { milliseconds, what }: Bound): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new SolsticeError("broker_unavailable", `${what} did not come within ${milliseconds} ms.`));
    }, milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
