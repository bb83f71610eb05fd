/** Every bound of image preparation. Tests use smaller ones; nothing else should need to. */
export interface ImageLimits {
  /** The largest file that is downloaded. */
  readonly downloadBytes: number;
  /** The largest disk an image may show to its guest, and the most that is unpacked. */
  readonly virtualSizeBytes: number;
  /** Free space that is left to everything else on the disk. */
  readonly freeFloorBytes: number;
  /** After so many bytes the download is flushed to disk, and from there it is resumed. */
  readonly checkpointBytes: number;
  readonly connectSeconds: number;
  /** A server must begin its answer, and then bring `stalledBytes`, in each span of this length. */
  readonly stalledSeconds: number;
  readonly stalledBytes: number;
  readonly redirects: number;
  /** Tries in a row that bring less than `stalledBytes`, and tries at all, before the source is left alone for a while. */
  readonly fruitlessTries: number;
  readonly tries: number;
  /** Pause before the second try; it doubles up to `pauseMaxSeconds`. */
  readonly pauseSeconds: number;
  readonly pauseMaxSeconds: number;
  /** How often a process asks whether another has finished the image. */
  readonly lockPollSeconds: number;
  /** In the background a failed image is tried again after this; it doubles up to `retryMaxSeconds`. */
  readonly retrySeconds: number;
  readonly retryMaxSeconds: number;
  /** Failures that will not go away by themselves (wrong checksum, 404 …) are tried again this seldom. */
  readonly permanentRetrySeconds: number;
  /** How often a ready image is looked at again, because people remove files. */
  readonly recheckSeconds: number;
  /** Images that are prepared at the same time. */
  readonly concurrency: number;
}

const gibibyte = 1024 ** 3;

/** The limits of a real installation. */
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
