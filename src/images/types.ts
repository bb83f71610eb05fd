import type { ImageLimits } from "./limits.ts";

/** The two disk formats of guests. */
export type ImageFormat = "raw" | "qcow2";

/** Phase of a preparation. `waiting`: another process prepares the image, or its turn has not come. */
export type PreparationPhase = "waiting" | "downloading" | "verifying" | "unpacking";

/** Progress of a phase. `totalBytes` is null while unknown. */
export interface ImageProgress {
  readonly phase: PreparationPhase;
  readonly doneBytes: number;
  readonly totalBytes: number | null;
  /** Reason why the last attempt of the download failed, until the next one receives bytes. */
  readonly trouble?: string;
  /** While waiting: the process that prepares the image, if known. */
  readonly holderPid?: number;
}

/** An image from which guests can be started. */
export interface ReadyImage {
  readonly path: string;
  readonly format: ImageFormat;
  /** Size of the disk in the guest. */
  readonly virtualSizeBytes: number;
  readonly fileSizeBytes: number;
  /**
   * Hex SHA-256 of the published file, or of the file itself if the operator put it in place. Null only while the
   * digest is being computed.
   */
  readonly digest: string | null;
}

/** Current state of an image. Times are milliseconds since the epoch. */
export type ImageState =
  | ({ readonly kind: "ready" } & ReadyImage)
  | ({ readonly kind: "preparing"; readonly since: number } & ImageProgress)
  | {
      readonly kind: "failed";
      /** Error and remedy, for the verdict of a job that needs the image. */
      readonly message: string;
      readonly retryAt: number | null;
      /** True when only the operator (or the publisher) can correct the failure. */
      readonly permanent: boolean;
    };

/** Context shared by the steps of a preparation. */
export interface PreparationContext {
  readonly limits: ImageLimits;
  readonly signal: AbortSignal;
  readonly dataDir: string;
  report(progress: ImageProgress): void;
}
