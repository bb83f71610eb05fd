/** All limits of image preparation. Tests use smaller ones; other code uses the defaults. */
export interface ImageLimits {
  /** Largest file that is downloaded. */
  readonly downloadBytes: number;
  /** Largest disk of an image, and most bytes that are unpacked. */
  readonly virtualSizeBytes: number;
  /** Free space that is left for other uses of the disk. */
  readonly freeFloorBytes: number;
  /** Number of bytes after which the download is flushed to disk; a resumed download starts at such a checkpoint. */
  readonly checkpointBytes: number;
  readonly connectSeconds: number;
  /** Time limit for the start of an answer, and then for every next `stalledBytes`. */
  readonly stalledSeconds: number;
  readonly stalledBytes: number;
  readonly redirects: number;
  /** Number of consecutive attempts with less than `stalledBytes`, and of attempts in total, before a longer pause. */
  readonly fruitlessTries: number;
  readonly tries: number;
  /** Pause before the second attempt; it doubles up to `pauseMaxSeconds`. */
  readonly pauseSeconds: number;
  readonly pauseMaxSeconds: number;
  /** Interval at which a waiting process tries the lock of another preparation. */
  readonly lockPollSeconds: number;
  /** Pause before the background loop retries a failed image; it doubles up to `retryMaxSeconds`. */
  readonly retrySeconds: number;
  readonly retryMaxSeconds: number;
  /** Pause after a permanent failure (wrong checksum, 404 …). */
  readonly permanentRetrySeconds: number;
  /** Interval at which a ready image is checked again, because people remove files. */
  readonly recheckSeconds: number;
  /** Number of images that are prepared at the same time. */
  readonly concurrency: number;
}

const gibibyte = 1024 ** 3;

/** The default limits. */
export const defaultImageLimits: ImageLimits = {
  downloadBytes: 200 * gibibyte,
  virtualSizeBytes: 2048 * gibibyte,
  freeFloorBytes: gibibyte,
  checkpointBytes: 32 * 1024 ** 2,
  connectSeconds: 20,
  stalledSeconds: 60,
  stalledBytes: 64 * 1024,
  redirects: 10,
  fruitlessTries: 6,
  tries: 200,
  pauseSeconds: 1,
  pauseMaxSeconds: 30,
  lockPollSeconds: 1,
  retrySeconds: 60,
  retryMaxSeconds: 15 * 60,
  permanentRetrySeconds: 3600,
  recheckSeconds: 60,
  concurrency: 4,
};
