import { isSolsticeError } from "../core/errors.ts";

/**
 * True for an error that means the store is unavailable now. Such an error is temporary and not caused by the
 * guest or job: the caller retries.
 */
export function isStoreAway(error: unknown): boolean {
  return isSolsticeError(error, "unavailable") || isSolsticeError(error, "store_failed");
}
