import { SolsticeError } from "../../core/errors.ts";

// Primary result codes, and one extended code, of https://www.sqlite.org/rescode.html.
const full = 13;
const busy = 5;
const ioErrorSharedMemorySize = 4874;

/** Runs `work`, and converts SQLite's errors to `disk_full` or `store_failed` with the original as cause. */
export function withStoreErrors<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw toStoreError(path, error);
  }
}

/** The only place where SQLite's errors become ours. Errors that are ours already pass unchanged. */
export function toStoreError(path: string, error: unknown): SolsticeError {
  if (error instanceof SolsticeError) return error;
  const code = resultCode(error);
  const words = error instanceof Error ? error.message : String(error);
  if (primary(code) === full || code === ioErrorSharedMemorySize) {
    return new SolsticeError("disk_full", `No space is left to write the database ${path} (${words}).`, {
      remedy: "Free space, or set another data directory.",
      cause: error,
    });
  }
  return new SolsticeError("store_failed", `The database ${path} failed: ${words}.`, {
    remedy:
      primary(code) === busy
        ? "Another process has locked the database: stop that process, then try again."
        : "Check the disk and the file's permissions.",
    cause: error,
  });
}

/** True when another connection holds the requested lock. */
export function isBusy(error: unknown): boolean {
  return primary(resultCode(error)) === busy;
}

function resultCode(error: unknown): number {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number"
    ? error.errcode
    : 0;
}

function primary(code: number): number {
  return code & 0xff;
}
