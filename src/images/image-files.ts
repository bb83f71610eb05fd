import { basename, dirname, join } from "node:path";

/**
 * Paths of the files that belong to one image. All except the image itself are in a hidden folder beside it: on the
 * same file system, so that the last step is a rename, and visible to every process that uses the image, whatever its
 * data directory.
 */
export interface ImageFiles {
  readonly image: string;
  readonly folder: string;
  /** The downloaded part, in its published form. */
  readonly part: string;
  /** Facts about the download: URL, ETag and the number of bytes of `part` that are safely on disk. */
  readonly partState: string;
  /** The unpacked image before it is complete and checked. */
  readonly unpacking: string;
  /** Lock of the process that prepares the image. */
  readonly lock: string;
  /** The digest, with the identity of the file it was computed for. */
  readonly facts: string;
  /** Reason of the last failed preparation, for listings; removed after a success. */
  readonly failure: string;
  /** Time since which the image map does not name the image. */
  readonly unused: string;
}

/** Mode of the hidden folder and the folder of facts: every user may read, only the owner may write. */
export const folderMode = 0o755;

/** Returns the paths of the files of the image at `localPath`. */
export function imageFiles(localPath: string): ImageFiles {
  const folder = join(dirname(localPath), ".solstice");
  const prefix = join(folder, basename(localPath));
  return {
    image: localPath,
    folder,
    part: `${prefix}.part`,
    partState: `${prefix}.part.json`,
    unpacking: `${prefix}.unpacking`,
    lock: `${prefix}.lock`,
    facts: `${prefix}.json`,
    failure: `${prefix}.failure`,
    unused: `${prefix}.unused`,
  };
}
