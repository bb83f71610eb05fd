import { lstat, mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { SolsticeError } from "../../core/errors.ts";
import { hasErrorCode } from "../../host/error-code.ts";

/**
 * Creates the directory for fetched files, and returns its path: `output`, else a directory named after the job. A link is
 * refused, because it may come from a repository and lead to any place.
 */
export async function makeTargetDirectory(output: string | undefined, jobId: string): Promise<string> {
  const path = resolve(output ?? directoryOfJob(jobId));
  try {
    const found = await lstat(path);
    if (found.isDirectory()) return path;
    const what = found.isSymbolicLink() ? "is a link" : "is no directory";
    throw new SolsticeError("already_exists", `${path} ${what}; files are written only into a directory.`, {
      remedy: "Name another directory with -o, or the target of the link.",
    });
  } catch (error) {
    if (!hasErrorCode(error, "ENOENT")) throw error;
  }
  await mkdir(path, { recursive: true });
  return path;
}

/** The directory's name for a job. Refuses an id from the API that does not have the form of an id. */
function directoryOfJob(jobId: string): string {
  if (/^[0-9a-z][0-9a-z-]{0,63}$/i.test(jobId)) return jobId;
  throw new SolsticeError("internal", "The API's answer contains a job id that is not valid.", {
    remedy: "Check --api-url (SOLSTICE_API_URL).",
  });
}
