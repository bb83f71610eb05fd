import { accessSync, constants } from "node:fs";
import { SolsticeError } from "../core/errors.ts";
import { fileProblem } from "../core/text/file-problem.ts";
import { makeDirectory, passableMode } from "../host/files/make-directory.ts";

/**
 * Creates the data directory if it is missing. Throws `config_invalid` when it cannot be created, read or
 * written.
 */
export function openDataDirectory(dataDir: string): void {
  try {
    makeDirectory(dataDir, passableMode);
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new SolsticeError(
      "config_invalid",
      `--data-dir: ${dataDir} cannot be used: ${fileProblem(error)}.`,
      {
        remedy:
          "Run as the directory's owner (usually root), or choose another directory with --data-dir or SOLSTICE_DATA_DIR.",
        cause: error,
      },
    );
  }
}
