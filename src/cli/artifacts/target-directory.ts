import { lstat, mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { SolsticeError } from "../../core/errors.ts";
import { hasErrorCode } from "../../host/error-code.ts";

/**
 * Makes the directory that files are fetched into, and returns its path: the one that was asked for, else one named after
 * the job. A link in its place is refused: it may come with a repository, and lead anywhere.
 */
export async function makeTargetDirectory(output: string | undefined, jobId: string): Promise<string> {
  const path = resolve(output ?? directoryOfJob(jobId));
  try {
    const found = await lstat(path);
    if (found.isDirectory()) return path;
    const what = found.isSymbolicLink() ? "is a link" : "is no directory";
    throw new SolsticeError("already_exists", `${path} ${what}; files go into directories only.`, {
      remedy: "Name another directory with -o, or the one that the link leads to.",
    });
  } catch (error) {
    if (!hasErrorCode(error, "ENOENT")) throw error;
  }
  await mkdir(path, { recursive: true });
  return path;
}

/** What an API calls a job becomes a path only where it has the form of an id. */
function directoryOfJob(jobId: string): string {
  if (/^[0-9a-z][0-9a-z-]{0,63}$/i.test(jobId)) return jobId;
  throw new SolsticeError("internal", "The API's answer names a job by what is no id.", {
    remedy: "Check --api-url (SOLSTICE_API_URL).",
  });
}
