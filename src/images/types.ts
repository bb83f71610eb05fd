import type { ImageLimits } from "./limits.ts";

/** The two formats that guests are started from. */
export type ImageFormat = "raw" | "qcow2";

/** What is being done to an image. `waiting`: another process prepares it, or it is not its turn yet. */
export type PreparationPhase = "waiting" | "downloading" | "verifying" | "unpacking";

/** How far the phase is. `totalBytes` is null while it is not known. */
export interface ImageProgress {
  readonly phase: PreparationPhase;
  readonly doneBytes: number;
  readonly totalBytes: number | null;
  /** Why the last try of the download failed, while the next is waited for or made. */
  readonly trouble?: string;
  /** While waiting: the process that works on it, where known. */
  readonly holderPid?: number;
}

/** An image that guests can be started from. */
export interface ReadyImage {
  readonly path: string;
  readonly format: ImageFormat;
  /** The size of the disk that the guest sees. */
  readonly virtualSizeBytes: number;
  readonly fileSizeBytes: number;
  /**
   * Hex SHA-256 of the file as published; of the file itself where it was put in place by hand. Null only while that
   * is being computed.
   */
  readonly digest: string | null;
}

/** What can be said about an image now. Times are milliseconds since the epoch. */
export type ImageState =
  | ({ readonly kind: "ready" } & ReadyImage)
  | ({ readonly kind: "preparing"; readonly since: number } & ImageProgress)
  | {
      readonly kind: "failed";
      /** What happened and what to do, for the verdict of a job that wanted the image. */
      readonly message: string;
      readonly retryAt: number | null;
      /** True where only a person (or the publisher) can correct it. */
      readonly permanent: boolean;
    };

/** What the steps of a preparation share. */
export interface PreparationContext {
  readonly limits: ImageLimits;
  readonly signal: AbortSignal;
  readonly dataDir: string;
  report(progress: ImageProgress): void;
}
