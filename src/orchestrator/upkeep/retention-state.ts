/** The work of retention since the start, for `/metrics`. */
export interface RetentionState {
  readonly removed: { jobs: number; logs: number; images: number };
  /** Bytes of all logs at the last count; null before that. */
  logBytes: number | null;
}

/** The state before the first run. */
export function createRetentionState(): RetentionState {
  return { removed: { jobs: 0, logs: 0, images: 0 }, logBytes: null };
}
