import { isSolsticeError } from "../core/errors.ts";

/**
 * Whether an error says that the store cannot be asked now. It passes, and says nothing of the guest or the job that met it:
 * whoever gets it tries again.
 */
export function isStoreAway(error: unknown): boolean {
  return isSolsticeError(error, "unavailable") || isSolsticeError(error, "store_failed");
}
