/** What retention did since the start, for `/metrics`. */
export interface RetentionState {
  readonly removed: { jobs: number; logs: number; images: number };
  /** What all logs took when they were last counted; null before that. */
  logBytes: number | null;
}

/** A state in which nothing was done yet. */
export function createRetentionState(): RetentionState {
  return { removed: { jobs: 0, logs: 0, images: 0 }, logBytes: null };
}
