import { basename, dirname, join } from "node:path";

/**
 * The files that belong to one image. All but the image itself are in a hidden folder beside it: on the same file
 * system, so that the last step is a rename, and found by every process that uses the image, whatever its data directory.
 */
export interface ImageFiles {
  readonly image: string;
  readonly folder: string;
  /** The download so far, in the form it is published. */
  readonly part: string;
  /** What the download is of: URL, ETag and how much of `part` is safely on disk. */
  readonly partState: string;
  /** The unpacked image before it is whole and checked. */
  readonly unpacking: string;
  /** Held by the process that prepares the image. */
  readonly lock: string;
  /** The digest, and what identifies the file it was computed for. */
  readonly facts: string;
  /** Why the last preparation failed, for listings; gone once one succeeded. */
  readonly failure: string;
  /** Since when the image map does not name it. */
  readonly unused: string;
}

/** Of the hidden folder, and of the facts' one: all may look, nobody else may write. */
export const folderMode = 0o755;

/** Where the files of the image at `localPath` are. */
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
